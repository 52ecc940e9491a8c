import pytest
import torch

from cloak.perceptual import masking_weights
from cloak.testing import toy_picture


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("colour", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.7, 0.31, 0.52)])
@pytest.mark.parametrize("size", [(48, 64), (9, 9), (1, 1), (2, 40)])
def test_flat_colour_has_no_weight(colour, size):
    x = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, *size)
    for weights in masking_weights(x):
        assert weights.shape == (1, 1, *size)
        torch.testing.assert_close(weights, torch.zeros_like(weights), rtol=0, atol=0.02)


def test_a_smooth_gradient_is_as_bare_as_flat_colour():
    x = torch.linspace(0.2, 0.8, 160).view(1, 1, 1, 160).expand(1, 3, 64, 160)  # about one level a pixel
    inside = (..., slice(8, -8), slice(8, -8))
    assert masking_weights(x).grain[inside].max() < 0.02
    assert masking_weights((x * 255).round() / 255).grain[inside].max() < 0.15


def test_grain_is_told_from_flat_colour_and_from_texture():
    x = torch.full((1, 3, 64, 192), 0.5)
    x[..., 64:128] += 3 / 255 * noise(1, 1, 64, 64)
    x[..., 128:] += 0.3 * noise(1, 1, 64, 64)
    grain, texture = masking_weights(x.clamp(0, 1))
    assert grain[..., :48].max() < 0.02
    assert grain[..., 80:112].mean() > 0.7
    assert texture[..., 80:112].max() < 0.1
    assert grain[..., 150:].min() > 0.95
    assert texture[..., 150:].mean() > 0.64


def test_more_contrast_hides_more():
    grain = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    for kind in ("grain", "texture"):
        shares = (0.01, 0.05, 0.2, 0.5, 1)
        means = [float(getattr(masking_weights(0.5 + share * grain), kind).mean()) for share in shares]
        assert means == sorted(means)


@pytest.mark.parametrize("vertical", [False, True])
def test_white_beside_a_black_line_weighs_next_to_nothing(vertical):
    x = torch.ones(1, 3, 64, 64)
    x[..., 31:34] = 0
    x = x.transpose(2, 3) if vertical else x
    for weights, least in zip(masking_weights(x), (0.0, 0.2), strict=True):
        across = (weights.transpose(2, 3) if vertical else weights)[0, 0]
        away = torch.cat([across[:, : 31 - 6], across[:, 34 + 6 :]], 1)
        assert away.max() < 0.03
        assert across[:, 30:35].max() >= least


@pytest.mark.parametrize("size", [(64, 64), (9, 9), (16, 200), (1, 1), (3, 8)])
def test_range_and_shape(size):
    for weights in masking_weights(toy_picture(*size, batch=2)):
        assert weights.shape == (2, 1, *size)
        assert weights.min() >= 0
        assert weights.max() <= 1
