"""A whole pipeline folder as one surrogate, compared with what diffusers makes of the same folder."""

import hashlib
import json
import shutil

import pytest
import torch

from cloak.errors import MissingModelError, ModelError, UsageError
from cloak.surrogates import catalogue_entry, load_surrogate, resolve_models, verify
from cloak.surrogates.diffusers_autoencoder import DiffusersAutoencoder
from cloak.surrogates.inspection import file_sha256
from cloak.surrogates.noise_schedule import read_schedule
from cloak.surrogates.pipeline import PipelineSurrogate
from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline

KINDS = ("sd15", "sd21", "sdxl", "miniature")
PROMPTS = ["a cat", "a dog sks style"]


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """One toy pipeline of each kind; tests that change one make their own."""
    return {kind: write_toy_pipeline(tmp_path_factory.mktemp(kind) / kind, kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def surrogate(folders, kind):
    return load_surrogate(folders[kind])


@pytest.fixture
def folder(tmp_path):
    return write_toy_pipeline(tmp_path / "toy", "sd15")


def reference(folder, kind):
    import diffusers

    name = "StableDiffusionXLPipeline" if kind == "sdxl" else "StableDiffusionPipeline"
    return getattr(diffusers, name).from_pretrained(folder, local_files_only=True)


def noisy(surrogate, x):
    z = surrogate.encode(x)
    timestep = torch.tensor([700] * len(x))
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    return surrogate.add_noise(z, noise, timestep), timestep, noise


def test_capabilities_are_those_of_the_folder(surrogate, kind):
    able = {"encode", "decode", "denoise", "embed_text"} | ({"embed_image"} if kind == "miniature" else set())
    assert isinstance(surrogate, PipelineSurrogate)
    assert surrogate.capabilities == able
    assert surrogate.timesteps == 1000
    assert surrogate.downscale == 8


def test_parts_are_loaded_when_they_are_needed_and_can_be_given_back(surrogate, folders, kind):
    assert surrogate.loaded_parts == []
    text = surrogate.embed_text(PROMPTS[:1])
    towers = ["text_encoder", "text_encoder_2"] if kind == "sdxl" else ["text_encoder"]
    assert surrogate.loaded_parts == towers
    surrogate.release(*towers)
    z, timestep, _ = noisy(surrogate, toy_picture(32, 32))
    surrogate.denoise(z, timestep, text)
    assert surrogate.loaded_parts == ["unet"]
    surrogate.release()
    assert surrogate.loaded_parts == []
    weights = folders[kind] / "unet" / "diffusion_pytorch_model.safetensors"
    assert surrogate.part_hashes["unet"] == file_sha256(weights)
    assert set(surrogate.part_hashes) == {*towers, "unet"}
    with pytest.raises(ValueError, match="there is no part 'vae'"):
        surrogate.release("vae")


def test_text_and_noise_are_those_of_the_pipeline_of_diffusers(surrogate, folders, kind):
    pipeline = reference(folders[kind], kind)
    text = surrogate.embed_text(PROMPTS)
    z, timestep, _ = noisy(surrogate, toy_picture(48, 32, batch=2))
    with torch.no_grad():
        if kind == "sdxl":
            tokens, _, pooled, _ = pipeline.encode_prompt(PROMPTS, do_classifier_free_guidance=False)
            torch.testing.assert_close(text.pooled, pooled)
            sizes = torch.tensor([[48, 32, 0, 0, 48, 32]] * 2)
            added = {"text_embeds": pooled, "time_ids": sizes}
        else:
            tokens, _ = pipeline.encode_prompt(PROMPTS, torch.device("cpu"), 1, do_classifier_free_guidance=False)
            added = None
        output = pipeline.unet(z, timestep, encoder_hidden_states=tokens, added_cond_kwargs=added).sample
        seen = surrogate.denoise(z, timestep, text)
    torch.testing.assert_close(text.tokens, tokens)
    kept = pipeline.scheduler.alphas_cumprod[700]
    noise = output if kind != "sd21" else kept.sqrt() * output + (1 - kept).sqrt() * z
    torch.testing.assert_close(seen, noise)


def test_noise_is_added_as_the_scheduler_does(surrogate, folders, kind):
    z, timestep, noise = noisy(surrogate, toy_picture(32, 32))
    scheduler = reference(folders[kind], kind).scheduler
    torch.testing.assert_close(z, scheduler.add_noise(surrogate.encode(toy_picture(32, 32)), noise, timestep))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_an_exact_output_of_any_kind_is_the_noise_itself(folder, edit_json, prediction):
    from diffusers import DDPMScheduler

    edit_json(folder / "scheduler" / "scheduler_config.json", prediction_type=prediction)
    schedule = read_schedule(folder / "scheduler")
    z, noise = torch.randn(2, 2, 4, 3, 3, generator=torch.Generator().manual_seed(0)).unbind(0)
    timestep = torch.tensor([20, 900])
    velocity = DDPMScheduler.from_pretrained(folder / "scheduler").get_velocity(z, noise, timestep)
    output = {"epsilon": noise, "v_prediction": velocity, "sample": z}[prediction]
    found = schedule.noise_in(output, schedule.add(z, noise, timestep), timestep)
    torch.testing.assert_close(found, noise, rtol=1e-4, atol=1e-4)


def test_gradients_go_from_the_noise_that_is_seen_back_to_the_picture(surrogate):
    x = toy_picture(45, 67).requires_grad_()
    z, timestep, noise = noisy(surrogate, x)
    loss = (surrogate.denoise(z, timestep, surrogate.embed_text(PROMPTS[:1])) - noise).square().mean()
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_recomputing_gives_the_same_gradient(folders):
    def gradient(surrogate):
        x = toy_picture(32, 32).requires_grad_()
        z, timestep, noise = noisy(surrogate, x)
        loss = (surrogate.denoise(z, timestep, surrogate.embed_text(PROMPTS[:1])) - noise).square().mean()
        return torch.autograd.grad(loss + surrogate.see(x).mean(), x)[0]

    plain, saving = load_surrogate(folders["sd15"]), load_surrogate(folders["sd15"])
    exact = gradient(plain)
    torch.testing.assert_close(gradient(saving.checkpoint()), exact)
    assert saving.module.encoder.gradient_checkpointing
    torch.testing.assert_close(gradient(saving.checkpoint(False)), exact)
    assert not saving.module.encoder.gradient_checkpointing


def test_pictures_and_prompts_meet_in_one_space(folders):
    from transformers import CLIPVisionModelWithProjection

    surrogate = load_surrogate(folders["miniature"])
    x = toy_picture(32, 32, batch=2).requires_grad_()
    vectors = surrogate.embed_image(x)
    assert vectors.shape == (2, surrogate.embed_text(PROMPTS).pooled.shape[1])
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))
    assert torch.autograd.grad(vectors[0, 0], x)[0].abs().max() > 0
    encoder = CLIPVisionModelWithProjection.from_pretrained(folders["miniature"] / "image_encoder")
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
    expected = encoder((x.detach() - mean) / deviation).image_embeds
    torch.testing.assert_close(vectors, torch.nn.functional.normalize(expected, dim=-1))
    assert surrogate.embed_image(toy_picture(70, 41)).shape == (1, vectors.shape[1])


def test_the_image_encoders_own_statistics_are_used(tmp_path):
    folder = write_toy_pipeline(tmp_path / "toy", "miniature")
    x = toy_picture(32, 32)
    before = load_surrogate(folder).embed_image(x)
    settings = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "feature_extractor").mkdir()
    (folder / "feature_extractor" / "preprocessor_config.json").write_text(json.dumps(settings))
    assert not torch.allclose(load_surrogate(folder).embed_image(x), before)


def test_bfloat16_stays_inside(folders):
    surrogate = load_surrogate(folders["sdxl"])
    z, timestep, _ = noisy(surrogate, toy_picture(32, 32))
    exact = surrogate.denoise(z, timestep, surrogate.embed_text(PROMPTS[:1]))
    surrogate.to("cpu", torch.bfloat16)
    text = surrogate.embed_text(PROMPTS[:1])
    found = surrogate.denoise(z, timestep, text)
    assert {text.tokens.dtype, text.pooled.dtype, found.dtype} == {torch.float32}
    assert (found - exact).norm() < 0.2 * exact.norm()
    surrogate.release()
    torch.testing.assert_close(surrogate.denoise(z, timestep, text), found)  # what is loaded later follows


def test_wrong_calls_are_refused(folders):
    surrogate = load_surrogate(folders["sd15"])
    z, timestep, _ = noisy(surrogate, toy_picture(32, 32, batch=3))
    with pytest.raises(ValueError, match="2 prompts for 3 pictures"):
        surrogate.denoise(z, timestep, surrogate.embed_text(PROMPTS))
    with pytest.raises(ValueError, match=r"timesteps must be in \[0, 1000\)"):
        surrogate.add_noise(z, z, torch.tensor([0, 5, 1000]))
    with pytest.raises(ValueError, match="whole numbers"):
        surrogate.add_noise(z, z, torch.tensor([0.5]))
    with pytest.raises(ValueError, match="prompts must be a list"):
        surrogate.embed_text("a cat")
    with pytest.raises(UsageError, match="cannot embed_image; it can: decode, denoise, embed_text, encode"):
        surrogate.embed_image(toy_picture())


def test_a_folder_with_less_can_do_less(folder):
    shutil.rmtree(folder / "text_encoder")
    surrogate = load_surrogate(folder)
    assert surrogate.capabilities == {"encode", "decode", "denoise"}
    with pytest.raises(UsageError, match="cannot embed_text"):
        surrogate.embed_text(["a cat"])
    shutil.rmtree(folder / "unet")
    assert isinstance(load_surrogate(folder), DiffusersAutoencoder)


def test_parts_that_cannot_be_used(folder, edit_json):
    from safetensors.torch import load_file, save_file

    surrogate = load_surrogate(folder)
    weights = folder / "text_encoder" / "model.safetensors"
    tensors = load_file(weights)
    tensors.pop(next(name for name in tensors if "fc1.weight" in name))
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"text_encoder cannot be used: it lacks 1 tensors"):
        surrogate.embed_text(["a cat"])
    edit_json(folder / "text_encoder" / "config.json", architectures=["T5EncoderModel"])
    with pytest.raises(ModelError, match="is that of T5EncoderModel; it must be one of CLIPTextModel"):
        surrogate.embed_text(["a cat"])
    edit_json(folder / "unet" / "config.json", cross_attention_dim=16)
    z, timestep, _ = noisy(surrogate, toy_picture(32, 32))
    with pytest.raises(ModelError, match="unet cannot be used"):
        surrogate.denoise(z, timestep, load_text(z))
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"PK\x03\x04 pickled in a zip file")
    with pytest.raises(ModelError, match="is a pickled weight file"):
        surrogate.denoise(z, timestep, load_text(z))
    (folder / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "FlowMatchEulerDiscreteScheduler"}')
    with pytest.raises(ModelError, match="describes no schedule of added noise, but FlowMatch"):
        load_surrogate(folder)


def load_text(z):
    from cloak.surrogates import TextEmbedding

    return TextEmbedding(torch.zeros(len(z), 8, 32), torch.zeros(len(z), 32))


def test_the_miniature_is_found_by_name_where_the_package_has_it(embedded_at, models_at):
    with pytest.raises(MissingModelError, match="'miniature' is not in this copy of artcloak; get a copy") as caught:
        load_surrogate("miniature")
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    folder = write_toy_pipeline(embedded_at / "miniature", "miniature")
    surrogate = load_surrogate("miniature")
    assert (surrogate.name, surrogate.family, surrogate.embedded) == ("miniature", "miniature", True)
    assert surrogate.capabilities == catalogue_entry("miniature").capabilities
    assert resolve_models(["miniature", "auto"]) == ["miniature", "tiny-flux2", "tiny-sd1"]
    with pytest.raises(ModelError, match="the record of the embedded weights, is missing"):
        verify("miniature")
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors")]
    record = {name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()} for name in names}
    (folder / "provenance.json").write_text(json.dumps({"files": record}))
    assert len(verify("miniature")) == 4
    (folder / names[0]).write_bytes(b"other")
    with pytest.raises(ModelError, match="recorded is"):
        verify("miniature")


def test_a_plain_autoencoder_neither_denoises_nor_reads(save_folder):
    surrogate = load_surrogate(save_folder("sd15"))
    assert surrogate.timesteps == 0
    for call in (
        lambda: surrogate.embed_text(["a cat"]),
        lambda: surrogate.add_noise(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2), torch.tensor([1])),
    ):
        with pytest.raises(UsageError, match="it can: decode, encode"):
            call()
