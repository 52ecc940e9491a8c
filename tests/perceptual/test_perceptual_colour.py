import pytest
import torch

from cloak.perceptual import ciede2000, delta_e_2000, oklab
from cloak.testing import toy_picture

# Sharma, Wu & Dalal 2005, table 1: two colours in CIELAB and their difference, rounded there to four places.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, 2.8361, -74.0200), (50.0, 0.0, -82.7485), 3.4412),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, -1.1848, -84.8006), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, -0.9009, -85.5211), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0009), 7.1792),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0011), 7.2195),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0009, -2.4900), 4.8045),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0011, -2.4900), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((50.0, 2.5, 0.0), (50.0, 3.1736, 0.5854), 1.0000),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((61.2901, 3.7196, -5.3901), (61.4292, 2.2480, -4.9620), 1.8731),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]
TOLERANCE = 1e-4


def colour(*values, kind=torch.float32):
    return torch.tensor(values, dtype=kind).view(1, 3, 1, 1)


@pytest.mark.parametrize(("first", "second", "expected"), SHARMA)
def test_published_pairs(first, second, expected):
    lab1, lab2 = colour(*first, kind=torch.float64), colour(*second, kind=torch.float64)
    assert float(ciede2000(lab1, lab2)) == pytest.approx(expected, abs=TOLERANCE)
    assert float(ciede2000(lab2, lab1)) == pytest.approx(expected, abs=TOLERANCE)


def test_published_pairs_as_one_picture_in_single_precision():
    first = torch.tensor([pair[0] for pair in SHARMA]).T[None, :, None]  # (1, 3, 1, pairs)
    second = torch.tensor([pair[1] for pair in SHARMA]).T[None, :, None]
    expected = torch.tensor([pair[2] for pair in SHARMA])[None, None]
    torch.testing.assert_close(ciede2000(first, second), expected, rtol=0, atol=2e-3)


def test_difference_of_pictures_is_per_pixel_and_zero_where_they_are_equal():
    x = toy_picture(9, 13, batch=2)
    y = x.clone()
    y[1, :, 4, 5] = 1 - y[1, :, 4, 5]
    difference = delta_e_2000(x, y)
    assert difference.shape == (2, 9, 13)
    assert difference[1, 4, 5] > 1
    assert int((difference != 0).sum()) == 1
    black, white = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    torch.testing.assert_close(delta_e_2000(black, white), torch.full((1, 2, 2), 100.0), rtol=0, atol=0.01)


def test_difference_of_greys_is_finite():
    greys = torch.linspace(0, 1, 64).expand(1, 3, 1, -1)
    difference = delta_e_2000(greys, greys.flip(-1))
    assert difference.isfinite().all()
    assert difference.max() <= 100.01


def test_gradient_is_finite():
    x = toy_picture(16, 16)
    y = toy_picture(16, 16, seed=1).requires_grad_()
    for value in (delta_e_2000(x, y).mean(), oklab(y).square().mean()):
        (gradient,) = torch.autograd.grad(value, y)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0
    black = torch.zeros(1, 3, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(oklab(black).sum(), black)
    assert gradient.isfinite().all()


# Ottosson 2020; the last three are the corners of sRGB as CSS Color 4 implementations give them, to three places.
@pytest.mark.parametrize(
    ("rgb", "expected", "tolerance"),
    [
        ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0), 1e-3),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 2e-3),
        ((1.0, 0.0, 0.0), (0.6280, 0.2249, 0.1258), 1e-3),
        ((0.0, 1.0, 0.0), (0.8664, -0.2339, 0.1795), 1e-3),
        ((0.0, 0.0, 1.0), (0.4520, -0.0325, -0.3115), 1e-3),
    ],
)
def test_oklab_of_known_colours(rgb, expected, tolerance):
    torch.testing.assert_close(oklab(colour(*rgb)), colour(*expected), rtol=0, atol=tolerance)


def test_greys_have_no_colour_in_oklab():
    lab = oklab(torch.linspace(0.05, 1, 20).expand(1, 3, 1, -1))
    assert lab[:, 1:].abs().max() < 1e-3
    assert (lab[0, 0, 0].diff() > 0).all()
