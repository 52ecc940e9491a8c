"""Autoencoders come back from folders and single files as they went in, or not at all."""

import re
import shutil

import pytest
import torch

from cloak.errors import MissingModelError, ModelError, UnknownNameError
from cloak.surrogates import load_surrogate
from cloak.surrogates.diffusers_autoencoder import DiffusersAutoencoder
from cloak.surrogates.inspection import file_sha256
from cloak.testing import toy_picture

ARCHITECTURES = ("sd15", "sd3", "flux2", "sana", "qwen-image", "taesd")
WEIGHTS = "diffusion_pytorch_model.safetensors"
IN_CHECKPOINT = "first_stage_model."


@pytest.fixture
def same(narrow_model):
    """Asserts that a loaded surrogate sees what the model `name`, made in memory, sees."""

    def check(loaded, name, tolerance=1e-4):
        expected, x = DiffusersAutoencoder(narrow_model(name), name=name, family=name), toy_picture(45, 67)
        torch.testing.assert_close(loaded.encode(x), expected.encode(x), rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(loaded.see(x), expected.see(x), rtol=tolerance, atol=tolerance)

    return check


def original_names(state, levels=4):
    """The names (and the 1x1 convolutions) of the first release of latent diffusion."""

    def rename(name):
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", lambda match: f"up.{levels - 1 - int(match[1])}.block", name)
        name = re.sub(
            r"up_blocks\.(\d)\.upsamplers\.0", lambda match: f"up.{levels - 1 - int(match[1])}.upsample", name
        )
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", name)
        name = name.replace("mid_block.attentions.0.group_norm", "mid.attn_1.norm")
        name = name.replace("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out")
        name = re.sub(r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1", name)
        return name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")

    return {
        rename(name): tensor[:, :, None, None] if "attentions" in name and tensor.ndim == 2 else tensor
        for name, tensor in state.items()
    }


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_folder(name, save_folder, same):
    folder = save_folder(name)
    loaded = load_surrogate(folder)
    same(loaded, name)
    assert loaded.name == "model"
    assert loaded.sha256 == file_sha256(folder / WEIGHTS)
    assert (loaded.embedded, loaded.revision) == (False, None)


@pytest.mark.parametrize("options", [{"variant": "fp16"}, {"max_shard_size": "300KB"}])
def test_folder_of_a_variant_or_of_several_files(save_folder, same, options):
    folder = save_folder("sd15", **options)
    assert not (folder / WEIGHTS).exists()
    same(load_surrogate(str(folder)), "sd15")


def test_pipeline_folder(save_folder, same, tmp_path):
    save_folder("sdxl", "pipeline/vae")
    loaded = load_surrogate(tmp_path / "pipeline")
    same(loaded, "sdxl")
    assert (loaded.name, loaded.family) == ("pipeline", "sdxl")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_single_file_with_diffusers_names(name, narrow_model, write_checkpoint, same):
    path = write_checkpoint(narrow_model(name).state_dict(), f"{name}-autoencoder.safetensors")
    loaded = load_surrogate(path)
    same(loaded, name)
    assert loaded.family == {"sd15": "sd1", "taesd": "sd1"}.get(name, name)
    assert loaded.sha256 == file_sha256(path)


def test_single_file_with_the_old_attention_names(narrow_model, write_checkpoint, same):
    state = narrow_model("sd15").state_dict()
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        state = {name.replace(f".{new}.", f".{old}."): tensor for name, tensor in state.items()}
    same(load_surrogate(write_checkpoint(state, "sd-vae.safetensors")), "sd15")


@pytest.mark.parametrize(
    ("name", "family", "others"),
    [
        ("sd15", "sd1", ("cond_stage_model.transformer.a", "model.diffusion_model.b")),
        ("sd21", "sd2", ("cond_stage_model.model.a",)),
        ("sdxl", "sdxl", ("conditioner.embedders.1.model.a",)),
        ("sd3", "sd3", ("model.diffusion_model.joint_blocks.0.a",)),
        ("flux1", "flux1", ("model.diffusion_model.double_blocks.0.a",)),
    ],
)
def test_full_checkpoint_tells_its_family(name, family, others, narrow_model, write_checkpoint, same):
    state = original_names(narrow_model(name).state_dict())
    path = write_checkpoint(state, "checkpoint.safetensors", IN_CHECKPOINT, others)
    loaded = load_surrogate(path)
    assert loaded.family == family
    same(loaded, name)


def test_flux2_in_its_original_names(narrow_model, write_checkpoint, same):
    state = original_names(narrow_model("flux2").state_dict())
    state = {re.sub(r"^quant_conv", "encoder.quant_conv", name): tensor for name, tensor in state.items()}
    state = {re.sub(r"^post_quant_conv", "decoder.post_quant_conv", name): tensor for name, tensor in state.items()}
    del state["bn.num_batches_tracked"]
    same(load_surrogate(write_checkpoint(state, "ae.safetensors")), "flux2")


@pytest.mark.parametrize(
    ("name", "file", "family"),
    [
        ("sdxl", "sdxl_vae", "sdxl"),
        ("sdxl", "vae-ft-mse", "sd1"),
        ("taesd3", "taesd3", "sd3"),
        ("flux1", "ae", "flux1"),
    ],
)
def test_file_name_tells_the_family(name, file, family, narrow_model, write_checkpoint):
    state = narrow_model(name).state_dict()
    assert load_surrogate(write_checkpoint(state, f"{file}.safetensors")).family == family


def test_device_and_type(save_folder):
    loaded = load_surrogate(save_folder("taesd"), device="cpu", dtype=torch.bfloat16)
    assert next(loaded.module.parameters()).dtype == torch.bfloat16
    assert loaded.encode(toy_picture()).dtype == torch.float32


def test_pickled_weights_are_refused(save_folder, tmp_path):
    folder = save_folder("taesd")
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match=r"diffusion_pytorch_model\.bin is a pickled .* save_pretrained"):
        load_surrogate(folder)
    checkpoint = tmp_path / "model.ckpt"
    checkpoint.write_bytes(b"pickle")
    with pytest.raises(ModelError, match="pickled"):
        load_surrogate(checkpoint)
    (tmp_path / "loose").mkdir()
    checkpoint.rename(tmp_path / "loose" / "model.pt")
    with pytest.raises(ModelError, match="pickled"):
        load_surrogate(tmp_path / "loose")


def test_truncated_and_corrupt_weights_are_refused(save_folder):
    folder = save_folder("taesd")
    data = (folder / WEIGHTS).read_bytes()
    for wrong in (data[:-7], data[:100], b"", b"\xff" * 1000):
        (folder / WEIGHTS).write_bytes(wrong)
        for place in (folder, folder / WEIGHTS):
            with pytest.raises(ModelError):
                load_surrogate(place)


def test_a_missing_decoder_is_named(narrow_model, write_checkpoint, save_folder):
    state = {name: tensor for name, tensor in narrow_model("sd15").state_dict().items() if "encoder" in name}
    with pytest.raises(ModelError, match="without its decoder"):
        load_surrogate(write_checkpoint(state, "half.safetensors"))
    folder = save_folder("sd15")
    shutil.copy(write_checkpoint(state, "half.safetensors"), folder / WEIGHTS)
    with pytest.raises(ModelError, match="holds no decoder"):
        load_surrogate(folder)


def test_a_folder_that_lacks_tensors_is_refused_without_noise(narrow_model, write_checkpoint, save_folder, capfd):
    state = narrow_model("sd15").state_dict()
    del state["encoder.conv_in.weight"], state["decoder.conv_in.bias"]
    folder = save_folder("sd15")
    shutil.copy(write_checkpoint(state, "part.safetensors"), folder / WEIGHTS)
    with pytest.raises(ModelError, match=r"lacks 2 tensors of its AutoencoderKL, e\.g\. decoder\.conv_in\.bias"):
        load_surrogate(folder)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("spelling", [dict, original_names])
def test_missing_tensors_are_never_filled_with_random_numbers(spelling, narrow_model, write_checkpoint):
    state = spelling(narrow_model("sd15").state_dict())
    del state["decoder.conv_out.weight"]
    with pytest.raises(ModelError, match="cannot be used as AutoencoderKL"):
        load_surrogate(write_checkpoint(state, "part.safetensors"))


def test_files_without_an_autoencoder_are_refused(write_checkpoint, tmp_path):
    path = write_checkpoint({"lora.down.weight": torch.zeros(2, 2)}, "lora.safetensors")
    with pytest.raises(ModelError, match="no autoencoder that is known"):
        load_surrogate(path)
    odd = write_checkpoint(
        {"encoder.conv_in.weight": torch.zeros(2, 3, 3, 3), "decoder.a": torch.zeros(1)}, "odd.safetensors"
    )
    with pytest.raises(ModelError, match="unknown structure"):
        load_surrogate(odd)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_surrogate(tmp_path / "empty")


def test_models_that_do_not_work_are_refused(narrow_model, write_checkpoint, save_folder, edit_json):
    state = narrow_model("taesd").state_dict()
    state["encoder.layers.0.weight"] = torch.full_like(state["encoder.layers.0.weight"], torch.nan)
    with pytest.raises(ModelError, match="does not give back pictures"):
        load_surrogate(write_checkpoint(state, "broken.safetensors"))
    folder = save_folder("qwen-image")
    edit_json(folder / "config.json", latents_mean=[0.0, 1.0, 2.0])
    with pytest.raises(ModelError, match="does not take pictures"):
        load_surrogate(folder)


def test_configurations_that_cannot_be_used_are_refused(save_folder, edit_json):
    folder = save_folder("taesd")
    edit_json(folder / "config.json", num_encoder_blocks=[1, 1], encoder_block_out_channels=[16])
    with pytest.raises(ModelError, match="cannot be used as AutoencoderTiny"):
        load_surrogate(folder)
    edit_json(folder / "config.json", _class_name="UNet2DConditionModel")
    with pytest.raises(ModelError, match="that of UNet2DConditionModel"):
        load_surrogate(folder)
    for text in ("[]", "{", "\udcff"):
        (folder / "config.json").write_text(text, errors="surrogateescape")
        with pytest.raises(ModelError, match="configuration"):
            load_surrogate(folder)


def test_names_and_places_that_are_not_there(models_at):
    for name, close in (("sdlx", "sdxl"), ("sd1.5", "sd15"), ("", "known")):
        with pytest.raises(UnknownNameError, match=close):
            load_surrogate(name)
    with pytest.raises(MissingModelError, match="--models"):
        load_surrogate("sd15")
    for path in ("./sd15", "no/such/folder", "gone.safetensors"):
        with pytest.raises(ModelError, match="There is no model at"):
            load_surrogate(path)


def test_catalogue_name(models_at, save_folder, same):
    shutil.move(save_folder("sdxl"), models_at / "sdxl" / "vae")
    loaded = load_surrogate("sdxl")
    same(loaded, "sdxl")
    assert (loaded.name, loaded.family) == ("sdxl", "sdxl")


def test_catalogue_folder_with_another_familys_model_is_refused(models_at, save_folder):
    shutil.move(save_folder("sd15"), models_at / "flux1" / "vae")
    with pytest.raises(
        ModelError, match=r"expected AutoencoderKL with 16 channels, found AutoencoderKL with 4 channels"
    ):
        load_surrogate("flux1")


def test_a_model_that_is_no_autoencoder(models_at):
    with pytest.raises(ModelError, match="no autoencoder"):
        load_surrogate("clip-vit-l-14")
