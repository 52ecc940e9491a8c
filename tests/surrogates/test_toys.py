import torch

from cloak.testing import toy_picture, toy_surrogate


def test_toys_depend_on_their_seed_alone():
    x = toy_picture(40, 48, batch=2, seed=3)
    assert torch.equal(x, toy_picture(40, 48, batch=2, seed=3))
    assert torch.equal(toy_surrogate(5).see(x), toy_surrogate(5).see(x))
    assert not torch.equal(toy_surrogate(5).encode(x), toy_surrogate(6).encode(x))
    assert x.shape == (2, 3, 40, 48)
    assert x.min() >= 0
    assert x.max() <= 1
