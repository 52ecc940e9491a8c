import hashlib

import pytest
import torch
from safetensors.torch import load_file, save_file

from cloak.errors import ModelError
from cloak.surrogates import load_surrogate
from cloak.surrogates.inspection import file_sha256
from cloak.surrogates.taef2 import Taef2Decoder, Taef2Encoder
from cloak.surrogates.tiny import TinyDecoder, TinyEncoder
from cloak.testing import TOY_DECODER, TOY_ENCODER, toy_picture


def filled(module, path):
    module.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return module.eval()


def test_flux2_student(embedded_at):
    surrogate, x = load_surrogate("tiny-flux2"), toy_picture(48, 64)
    encoder = filled(TinyEncoder(**TOY_ENCODER), embedded_at / "flux2_encoder.safetensors")
    decoder = filled(TinyDecoder(**TOY_DECODER), embedded_at / "flux2_decoder.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(surrogate.encode(x), encoder(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(surrogate.see(x), decoder(encoder(x)), rtol=1e-4, atol=1e-4)
    assert (surrogate.name, surrogate.family, surrogate.embedded) == ("tiny-flux2", "flux2", True)
    assert surrogate.capabilities == {"encode", "decode"}
    hashes = [file_sha256(embedded_at / f"flux2_{part}.safetensors") for part in ("encoder", "decoder")]
    assert surrogate.sha256 == hashlib.sha256("".join(hashes).encode()).hexdigest()


def test_sd1_student_is_scaled_to_the_denoisers_units(embedded_at):
    surrogate, x = load_surrogate("tiny-sd1"), toy_picture(48, 64)
    encoder = filled(TinyEncoder(**TOY_ENCODER), embedded_at / "sd1_encoder.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(surrogate.encode(x), encoder(x) * 0.18215, rtol=1e-4, atol=1e-4)
    assert surrogate.capabilities == {"encode"}
    assert surrogate.family == "sd1"
    assert surrogate.sha256 == file_sha256(embedded_at / "sd1_encoder.safetensors")


def test_missing_embedded_weights_are_named(embedded_at):
    (embedded_at / "sd1_encoder.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks sd1_encoder\.safetensors; reinstall"):
        load_surrogate("tiny-sd1")


@pytest.mark.parametrize("metadata", [None, {"architecture": "{"}, {"architecture": '{"width": 3}'}])
def test_weights_that_do_not_say_how_they_are_built_are_refused(embedded_at, metadata):
    path = embedded_at / "sd1_encoder.safetensors"
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(ModelError, match="does not say"):
        load_surrogate("tiny-sd1")


def test_weights_of_another_network_are_refused(embedded_at):
    path = embedded_at / "sd1_encoder.safetensors"
    save_file(
        {"a": torch.zeros(1)},
        path,
        metadata={"architecture": '{"channels": 8, "latent_channels": 4, "blocks": [1, 1, 1], "side_path": true}'},
    )
    with pytest.raises(ModelError, match="does not hold the weights of a TinyEncoder"):
        load_surrogate("tiny-sd1")


def test_published_tiny_autoencoder_of_flux2(tmp_path, write_taef2):
    folder = write_taef2(tmp_path / "taef2")
    surrogate, x = load_surrogate(folder), toy_picture(48, 64)
    encoder = filled(Taef2Encoder(), folder / "taef2_encoder.safetensors")
    decoder = filled(Taef2Decoder(), folder / "taef2_decoder.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(surrogate.encode(x), encoder(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(surrogate.see(x), decoder(encoder(x)), rtol=1e-4, atol=1e-4)
    assert (surrogate.name, surrogate.family, surrogate.embedded) == ("taef2", "flux2", False)
    assert [map_.shape[-1] for map_ in surrogate.features(x)] == [32, 16, 8, 8]


def test_published_tiny_autoencoder_in_one_file(tmp_path, write_taef2):
    two = write_taef2(tmp_path / "two")
    tensors = {
        f"encoder.layers.{name}": tensor for name, tensor in load_file(two / "taef2_encoder.safetensors").items()
    }
    for name, tensor in load_file(two / "taef2_decoder.safetensors").items():
        number, _, rest = name.partition(".")
        tensors[f"decoder.layers.{int(number) - 1}.{rest}"] = tensor
    (tmp_path / "one").mkdir()
    save_file(tensors, tmp_path / "one" / "taef2.safetensors")
    x = toy_picture()
    assert torch.equal(load_surrogate(tmp_path / "one").see(x), load_surrogate(two).see(x))
    save_file({"decoder.layers.x.weight": torch.zeros(1)}, tmp_path / "one" / "taef2.safetensors")
    with pytest.raises(ModelError, match="does not hold the weights of a Taef2Encoder"):
        load_surrogate(tmp_path / "one")


def test_published_tiny_autoencoder_by_name(models_at, write_taef2):
    write_taef2(models_at / "taef2")
    assert load_surrogate("taef2").encode(toy_picture()).shape == (1, 32, 8, 8)
