"""What every kind of surrogate promises, on toy instances of each."""

import pytest
import torch

from cloak.errors import UsageError
from cloak.surrogates import load_surrogate
from cloak.surrogates.diffusers_autoencoder import DiffusersAutoencoder
from cloak.surrogates.embedded import load_embedded, load_taef2
from cloak.testing import toy_picture, toy_surrogate
from cloak.toy_pipelines import write_toy_pipeline

PUBLISHED = ("sd15", "sd3", "flux2", "sana", "qwen-image", "taesd")
CHANNELS = {"sd15": 4, "sd3": 16, "flux2": 128, "sana": 32, "qwen-image": 16, "taesd": 4, "taef2": 32}
DOWNSCALE = {"flux2": 16, "sana": 32}
KINDS = (*PUBLISHED, "toy", "pipeline", "taef2", "tiny-flux2", "tiny-sd1")


@pytest.fixture(params=KINDS)
def surrogate(request, narrow_model, tmp_path, write_taef2):
    kind = request.param
    if kind in PUBLISHED:
        return DiffusersAutoencoder(narrow_model(kind), name=kind, family=kind)
    if kind == "taef2":
        return load_taef2(write_taef2(tmp_path / "taef2"))
    if kind == "pipeline":
        return load_surrogate(write_toy_pipeline(tmp_path / "pipeline"))
    if kind == "toy":
        return toy_surrogate()
    request.getfixturevalue("embedded_at")
    return load_embedded(kind)


@pytest.mark.parametrize("size", [(64, 64), (45, 67), (8, 11)])
def test_encode_pads_any_size_to_the_latent_grid(surrogate, size):
    x = toy_picture(*size, batch=2)
    z = surrogate.encode(x)
    grid = tuple(-(-side // surrogate.downscale) for side in size)
    assert z.shape == (2, CHANNELS.get(surrogate.name, 4), *grid)
    assert z.dtype == torch.float32
    assert z.isfinite().all()
    assert surrogate.downscale == DOWNSCALE.get(surrogate.name, 8)


def test_encode_is_deterministic_and_treats_the_pictures_of_a_batch_alone(surrogate):
    x = toy_picture(45, 67, batch=2)
    together = surrogate.encode(x)
    assert torch.equal(together, surrogate.encode(x))
    torch.testing.assert_close(together[1:], surrogate.encode(x[1:]), rtol=1e-3, atol=1e-4)


def test_see_has_the_size_of_the_picture(surrogate):
    x = toy_picture(45, 67)
    if "decode" not in surrogate.capabilities:
        with pytest.raises(UsageError, match="cannot decode; it can: encode"):
            surrogate.see(x)
        return
    seen = surrogate.see(x)
    assert seen.shape == x.shape
    assert seen.dtype == torch.float32
    assert seen.min() > -2
    assert seen.max() < 3
    z = surrogate.encode(x)
    assert surrogate.decode(z).shape == (1, 3, *(side * surrogate.downscale for side in z.shape[-2:]))


def test_gradients_reach_the_picture_and_no_parameter(surrogate):
    x = toy_picture(45, 67).requires_grad_()
    routes = [surrogate.encode, surrogate.see] if "decode" in surrogate.capabilities else [surrogate.encode]
    for route in routes:
        (gradient,) = torch.autograd.grad(route(x).square().mean(), x)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0
    assert not surrogate.module.training
    assert not any(parameter.requires_grad for parameter in surrogate.module.parameters())


def test_features_go_from_fine_to_coarse_and_end_with_the_latent(surrogate):
    x = toy_picture(64, 64).requires_grad_()
    maps = surrogate.features(x)
    assert len(maps) >= 4
    assert all(map_.ndim == 4 and map_.dtype == torch.float32 for map_ in maps)
    heights = [map_.shape[-2] for map_ in maps]
    assert heights == sorted(heights, reverse=True)
    torch.testing.assert_close(maps[-1], surrogate.encode(x))
    assert torch.autograd.grad(maps[0].square().mean(), x)[0].abs().max() > 0


def test_bfloat16_stays_inside(surrogate):
    x = toy_picture(45, 67).requires_grad_()
    exact = surrogate.encode(x).detach()
    assert surrogate.to("cpu", torch.bfloat16) is surrogate
    z = surrogate.encode(x)
    assert z.dtype == torch.float32
    assert (z - exact).norm() < 0.2 * exact.norm()
    (gradient,) = torch.autograd.grad(z.square().mean(), x)
    assert gradient.dtype == torch.float32
    assert gradient.isfinite().all()
    if "decode" in surrogate.capabilities:
        assert surrogate.see(x).dtype == torch.float32


def test_wrong_pictures_are_refused(surrogate):
    for shape in ((3, 64, 64), (1, 4, 64, 64), (1, 3, 7, 64)):
        with pytest.raises(ValueError, match="picture"):
            surrogate.encode(torch.zeros(shape))
    with pytest.raises(ValueError, match="floating"):
        surrogate.encode(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
