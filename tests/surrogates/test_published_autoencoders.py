"""The published configurations can be built, and latents come out as the families' own pipelines make them."""

import pytest
import torch

from cloak.surrogates.catalogue import CATALOGUE
from cloak.surrogates.diffusers_autoencoder import DiffusersAutoencoder, from_model_range, to_model_range
from cloak.surrogates.families import guess_family, latent_channels, published_config
from cloak.surrogates.latents import patchify, unpatchify
from cloak.testing import toy_picture

MILLIONS = {
    "sd15": 83.65,
    "sd21": 83.65,
    "sdxl": 83.65,
    "sd3": 83.82,
    "flux1": 83.82,
    "flux2": 84.05,
    "sana": 312.25,
    "qwen-image": 126.89,
    "taesd": 2.45,
    "taesdxl": 2.45,
    "taesd3": 2.46,
    "taef1": 2.46,
}
LATENT = {"flux2": 32, "sana": 32, "sd3": 16, "flux1": 16, "qwen-image": 16, "taesd3": 16, "taef1": 16}
SCALARS = {"sd15": (0, 0.18215), "sdxl": (0, 0.13025), "sd3": (0.0609, 1.5305), "flux1": (0.1159, 0.3611)}


@pytest.mark.parametrize("name", MILLIONS)
def test_published_configuration_builds_with_the_published_number_of_parameters(name):
    import diffusers

    config = published_config(name)
    with torch.device("meta"):
        module = getattr(diffusers, config["_class_name"]).from_config(config)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    assert parameters / 1e6 == pytest.approx(MILLIONS[name], abs=0.02)
    assert latent_channels(config) == LATENT.get(name, 4)


@pytest.mark.parametrize("name", MILLIONS)
def test_every_published_structure_takes_a_gradient(name, narrow_model):
    surrogate = DiffusersAutoencoder(narrow_model(name), name=name, family=CATALOGUE[name].family)
    x = toy_picture(48, 64).requires_grad_()
    for route in (surrogate.encode, surrogate.see):
        (gradient,) = torch.autograd.grad(route(x).square().sum(), x)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("name", [name for name in MILLIONS if name not in ("sd21", "taesd", "taesd3")])
def test_family_is_guessed_from_the_configuration_and_the_name(name):
    config = published_config(name)
    hints = {"taesdxl": "taesdxl", "taesd3": "taesd3"}.get(name, "")
    assert guess_family(config["_class_name"], config, hints) == CATALOGUE[name].family


def test_ranges_are_converted_once():
    x = torch.tensor([0.0, 0.25, 1.0])
    assert to_model_range(x).tolist() == [-1.0, -0.5, 1.0]
    assert torch.equal(from_model_range(to_model_range(x)), x)


@pytest.mark.parametrize("name", SCALARS)
def test_scalar_scaling_and_the_mode_of_the_posterior(name, narrow_model):
    module, x = narrow_model(name), toy_picture(48, 64)
    shift, factor = SCALARS[name]
    with torch.no_grad():
        raw = module.encode(2 * x - 1).latent_dist.mode()
        expected_seen = module.decode(raw).sample / 2 + 0.5
    surrogate = DiffusersAutoencoder(module, name=name, family=name)
    torch.testing.assert_close(surrogate.encode(x), (raw - shift) * factor, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(surrogate.see(x), expected_seen, rtol=1e-4, atol=1e-4)


def test_flux2_latents_are_patched_and_normalised_as_in_its_pipeline(narrow_model):
    module, x = narrow_model("flux2"), toy_picture(64, 96)
    with torch.no_grad():
        raw = module.encode(2 * x - 1).latent_dist.mode()  # (1, 32, 8, 12)
        patches = raw.view(1, 32, 4, 2, 6, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 128, 4, 6)
        deviation = torch.sqrt(module.bn.running_var + module.config.batch_norm_eps).view(1, -1, 1, 1)
        expected = (patches - module.bn.running_mean.view(1, -1, 1, 1)) / deviation
        seen = module.decode(raw).sample / 2 + 0.5
    surrogate = DiffusersAutoencoder(module, name="flux2", family="flux2")
    torch.testing.assert_close(surrogate.encode(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(surrogate.see(x), seen, rtol=1e-3, atol=1e-4)


def test_flux2_statistics_stay_exact_in_bfloat16(narrow_model):
    module = narrow_model("flux2")
    mean = module.bn.running_mean.clone().view(1, -1, 1, 1)
    surrogate = DiffusersAutoencoder(module, name="flux2", family="flux2").to("cpu", torch.bfloat16)
    assert torch.equal(surrogate.latent_scale.shift, mean)


def test_qwen_image_is_normalised_per_channel_and_not_clamped(narrow_model):
    module, x = narrow_model("qwen-image"), toy_picture(48, 64)
    mean, deviation = (torch.tensor(module.config[key]).view(1, 16, 1, 1, 1) for key in ("latents_mean", "latents_std"))
    with torch.no_grad():
        raw = module.encode((2 * x - 1).unsqueeze(2)).latent_dist.mode()
        seen = module.decode(raw).sample[:, :, 0] / 2 + 0.5
    surrogate = DiffusersAutoencoder(module, name="qwen-image", family="qwen-image")
    torch.testing.assert_close(surrogate.encode(x), ((raw - mean) / deviation)[:, :, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(surrogate.see(x).clamp(0, 1), seen, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        module.decoder.conv_out.weight.mul_(50)
    far = surrogate.see(x)
    assert far.min() < 0
    assert far.max() > 1


@pytest.mark.parametrize(("name", "attribute", "factor"), [("sana", "latent", 0.41407), ("taesd", "latents", 1.0)])
def test_autoencoders_without_a_posterior(name, attribute, factor, narrow_model):
    module, x = narrow_model(name), toy_picture(64, 64)
    with torch.no_grad():
        raw = getattr(module.encode(2 * x - 1), attribute)
    surrogate = DiffusersAutoencoder(module, name=name, family=name)
    torch.testing.assert_close(surrogate.encode(x), raw * factor, rtol=1e-4, atol=1e-5)


def test_patches_are_undone():
    raw = torch.arange(2 * 3 * 4 * 6.0).view(2, 3, 4, 6)
    assert torch.equal(unpatchify(patchify(raw, 2), 2), raw)


def test_float16_is_refused_where_it_would_overflow(narrow_model):
    surrogate = DiffusersAutoencoder(narrow_model("sdxl"), name="sdxl", family="sdxl").to("cpu", torch.float16)
    assert surrogate.dtype == torch.float32
