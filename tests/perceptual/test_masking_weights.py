import pytest
import torch

from cloak.perceptual import masking_weights
from cloak.testing import toy_picture


@pytest.mark.parametrize("colour", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.7, 0.31, 0.52)])
@pytest.mark.parametrize("size", [(48, 64), (9, 9), (1, 1), (2, 40)])
def test_flat_colour_has_no_weight(colour, size):
    x = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, *size)
    weights = masking_weights(x)
    assert weights.shape == (1, 1, *size)
    torch.testing.assert_close(weights, torch.zeros_like(weights), rtol=0, atol=0.01)


def test_texture_may_change_more_than_flat_colour():
    x = torch.full((1, 3, 64, 128), 0.5)
    x[..., 64:] = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    weights = masking_weights(x)
    assert weights[..., :48].max() < 0.02
    assert weights[..., 80:].mean() > 0.64


def test_more_contrast_hides_more():
    grain = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    means = [float(masking_weights(0.5 + share * grain).mean()) for share in (0.05, 0.2, 0.5, 1)]
    assert means == sorted(means)


@pytest.mark.parametrize("vertical", [False, True])
def test_white_beside_a_black_line_weighs_next_to_nothing(vertical):
    x = torch.ones(1, 3, 64, 64)
    x[..., 31:34] = 0
    x = x.transpose(2, 3) if vertical else x
    weights = masking_weights(x)
    weights = (weights.transpose(2, 3) if vertical else weights)[0, 0]
    away = torch.cat([weights[:, : 31 - 6], weights[:, 34 + 6 :]], 1)
    assert away.max() < 0.03
    assert weights[:, 30:35].max() > 0.2


@pytest.mark.parametrize("size", [(64, 64), (9, 9), (16, 200), (1, 1), (3, 8)])
def test_range_and_shape(size):
    x = toy_picture(*size, batch=2)
    weights = masking_weights(x)
    assert weights.shape == (2, 1, *size)
    assert weights.min() >= 0
    assert weights.max() <= 1
