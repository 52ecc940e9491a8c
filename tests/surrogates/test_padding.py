import pytest
import torch

from cloak.surrogates.padding import pad_to_multiple


def test_a_side_that_fits_is_left_alone():
    x = torch.rand(1, 3, 16, 24)
    assert torch.equal(pad_to_multiple(x, 8), x)


def test_the_picture_is_mirrored_to_the_right_and_below():
    x = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 3, 6, 6)
    padded = pad_to_multiple(x, 8)
    assert padded.shape == (1, 3, 8, 8)
    assert padded[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]
    assert pad_to_multiple(x.transpose(2, 3), 8)[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]


def test_a_side_too_short_for_a_mirror_repeats_its_last_column():
    x = torch.arange(3.0).view(1, 1, 1, 3).expand(1, 3, 13, 3)
    padded = pad_to_multiple(x, 8)
    assert padded.shape == (1, 3, 16, 8)
    assert padded[0, 0, 0].tolist() == [0, 1, 2, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("size", [(8, 9), (31, 33), (45, 67)])
def test_gradients_reach_every_pixel(size):
    x = torch.rand(1, 3, *size, requires_grad=True)
    pad_to_multiple(x, 32).sum().backward()
    assert (x.grad >= 1).all()
