"""The parts of the miniature fit together in the folder that diffusers loads."""

import json
from pathlib import Path

import pytest
import torch

from training.miniature.assemble import hashes, provenance, tidy, with_another_unet, write_pipeline
from training.miniature.autoencoder import new_model, scaled
from training.miniature.clip import text_model, vision_model
from training.miniature.denoiser import new_unet
from training.miniature.latents import embedded, posteriors
from training.miniature.vocabulary import write_tokenizer

LIMIT = 25_000_000  # bytes; with the tiny autoencoders 30 MB


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work folders of all parts, untrained."""
    root = tmp_path_factory.mktemp("miniature")
    tokenizer = write_tokenizer([f"word{i} thing, in the style of noto" for i in range(9)], root / "clip" / "tokenizer")
    text, vae = text_model(tokenizer), new_model()
    text.save_pretrained(root / "clip" / "text_encoder")
    vision_model().save_pretrained(root / "clip" / "image_encoder")
    pictures = torch.randint(0, 256, (2, 4, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, deviation = posteriors(vae, pictures, torch.arange(2))
    factor = scaled(vae, mean, deviation)
    assert torch.isclose((factor * mean).var() + (factor * deviation).square().mean(), torch.ones(()), rtol=1e-3)
    vae.save_pretrained(root / "latents" / "vae")
    new_unet(embedded(["", "thing"], tokenizer, text).shape[-1]).save_pretrained(root / "unet" / "unet")
    return root


def test_pipeline_generates_and_is_small(works: Path, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    write_pipeline(latents=works / "latents", clip=works / "clip", unet=works / "unet", out=tmp_path)
    tidy(tmp_path)
    assert not [p for p in tmp_path.rglob("*.json") if str(works) in p.read_text()]
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) < LIMIT
    assert not [p for p in tmp_path.rglob("*") if p.suffix in {".bin", ".pt", ".ckpt"}]
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    parts = (pipeline.vae, pipeline.unet, pipeline.text_encoder, pipeline.image_encoder)
    assert {part.dtype for part in parts} == {torch.float32}
    draw = torch.Generator().manual_seed(0)
    (picture,) = pipeline("thing, in the style of noto", num_inference_steps=2, generator=draw).images
    assert picture.size == (128, 128)


def test_provenance_names_files_cost_and_figures(works: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "log.jsonl").write_text(
        '{"step": 25, "seconds": 90, "loss": 1.0}\n{"step": 50, "seconds": 180, "loss": 0.5}\n'
    )
    note = provenance({"vae": work}) | {"files": hashes(works / "latents")}
    assert json.loads(json.dumps(note)) == note
    assert note["training"]["vae"] == {"steps": 50, "minutes": 3.0, "last_losses": {"loss": 0.5}}
    (name,) = note["files"]
    assert name == "vae/diffusion_pytorch_model.safetensors"
    assert len(note["files"][name]["sha256"]) == 64


def test_another_unet_takes_the_place_of_the_first_one(works: Path, tmp_path: Path) -> None:
    out = tmp_path / "miniature"
    write_pipeline(latents=works / "latents", clip=works / "clip", unet=works / "unet", out=out)
    before = hashes(out)
    (out / "provenance.json").write_text('{"training": {"unet": {"steps": 5, "minutes": 1.0, "last_losses": {}}}}')
    work = tmp_path / "work"
    new_unet(128).save_pretrained(work / "unet")
    (work / "log.jsonl").write_text('{"step": 50, "seconds": 180, "loss": 0.5}\n')
    note = with_another_unet(work, out)
    assert note["training"]["unet"]["steps"] == 50
    assert note["training"]["unet"]["started_from"] == {"steps": 5, "minutes": 1.0}
    changed = [name for name, file in hashes(out).items() if file != before[name]]
    assert changed == ["unet/diffusion_pytorch_model.safetensors"]
