import pytest
import torch
from torch.nn import functional as F

from cloak.perceptual import low_frequency, low_frequency_rms, match_colours, middle_band
from cloak.testing import toy_picture

COLOUR = torch.tensor([0.1, -0.05, 0.02]).view(1, 3, 1, 1)
SIZES = [(64, 64), (33, 47), (9, 9), (1, 1), (16, 300), (600, 601)]


@pytest.mark.parametrize("size", SIZES)
def test_a_constant_change_is_all_low_frequency(size):
    change = COLOUR.expand(2, 3, *size)
    low = low_frequency(change)
    torch.testing.assert_close(low, COLOUR.expand_as(low), rtol=0, atol=1e-6)
    torch.testing.assert_close(middle_band(change), torch.zeros_like(change), rtol=0, atol=1e-6)
    expected = COLOUR.square().mean().sqrt().expand(2)
    torch.testing.assert_close(low_frequency_rms(change), expected, rtol=0, atol=1e-6)


def test_grain_is_hardly_low_frequency():
    grain = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    # white noise through a Gaussian of sigma s keeps 1 / (2 s sqrt(pi)) of its deviation: 0.094 for 3 px
    assert float(low_frequency_rms(grain)) == pytest.approx(0.094, rel=0.1)
    assert float(middle_band(grain).std()) > 2 * float(low_frequency(grain).std())


@pytest.mark.parametrize("factor", [2, 3])
def test_figures_mean_the_same_at_any_size(factor):
    change = toy_picture(256, 256, seed=2) - toy_picture(256, 256, seed=3)
    larger = F.interpolate(change, scale_factor=factor, mode="bilinear")
    assert float(low_frequency_rms(larger)) == pytest.approx(float(low_frequency_rms(change)), rel=0.02)
    small, large = (float(middle_band(part).pow(2).mean().sqrt()) for part in (change, larger))
    assert large == pytest.approx(small, rel=0.15)


def test_figures_are_linear_in_the_change():
    change = toy_picture() - toy_picture(seed=1)
    torch.testing.assert_close(low_frequency_rms(3 * change), 3 * low_frequency_rms(change))
    assert low_frequency_rms(change.expand(4, -1, -1, -1)).shape == (4,)


def test_matching_colours_undoes_a_linear_recolouring():
    x = toy_picture(64, 64, batch=2)
    mix = torch.tensor(
        [[0.9, 0.1, 0.0], [0.1, 0.7, 0.05], [0.0, 0.05, 0.8]]
    )  # symmetric, as the map it takes to undo it
    recoloured = torch.einsum("ij,bjhw->bihw", mix, x) + COLOUR
    torch.testing.assert_close(match_colours(recoloured, x), x, rtol=0, atol=5e-3)


def test_matching_colours_gives_mean_and_covariance_of_the_reference():
    x, reference = toy_picture(48, 64), toy_picture(48, 64, seed=5)
    matched = match_colours(x, reference)
    assert matched.shape == x.shape
    torch.testing.assert_close(matched.mean((2, 3)), reference.mean((2, 3)), rtol=0, atol=1e-4)
    torch.testing.assert_close(  # the floor for grey pictures costs a thousandth of the variance
        matched.flatten(2)[0].cov(), reference.flatten(2)[0].cov(), rtol=0, atol=2e-4
    )
    torch.testing.assert_close(match_colours(x, x), x, rtol=0, atol=1e-3)


@pytest.mark.parametrize("x", [torch.full((1, 3, 16, 16), 0.5), torch.zeros(1, 3, 1, 1), toy_picture(16, 16)])
def test_matching_colours_of_flat_pictures_is_finite(x):
    assert match_colours(x, torch.full_like(x, 0.3)).isfinite().all()


@pytest.mark.parametrize("part", [low_frequency, middle_band, lambda x: match_colours(x, toy_picture(16, 20, seed=1))])
def test_gradient_is_finite(part):
    x = toy_picture(16, 20).requires_grad_()
    (gradient,) = torch.autograd.grad(part(x).square().sum(), x)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("part", [low_frequency, middle_band])
def test_gradcheck(part):
    x = toy_picture(7, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(part, x)
