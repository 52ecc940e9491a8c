"""Put the trained parts together as a diffusers folder in half precision, with a note of where they come from.

    python -m training.miniature.assemble --vae WORK --out DIR                                    autoencoder alone
    python -m training.miniature.assemble --vae WORK --clip WORK --latents WORK --unet WORK --out DIR    all of it
    python -m training.miniature.assemble --unet WORK --out DIR    another UNet, all else in DIR and its note stays

WORK is the work folder of the script of that name (`--unet` that of denoiser.py).
`StableDiffusionPipeline.from_pretrained(DIR)` loads the whole; figures of `measure.py` are added to `provenance.json`
with `--measured FILE...`, under the names of the files.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel  # noqa: TID253
from transformers import (  # noqa: TID253
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from training.miniature.data import SIZE
from training.miniature.denoiser import SCHEDULE

DATA = {
    "emoji": {
        "noto (Google)": "Apache-2.0",
        "fluent-emoji (Microsoft)": "MIT",
        "twemoji (Twitter)": "CC-BY-4.0",
        "emojione (EmojiOne)": "CC-BY-4.0",
        "source": "npm packages @iconify-json/*, rendered with resvg, skin tones dropped",
    },
    "art": "113 public-domain pictures by W. Crane, G. Doré, C. Monet, J. R. Neill, H. Pyle and V. F. Sterrett",
    "kept_from_training": "emoji of fxemoji and fluent-emoji-flat; all pictures of artists used for measuring",
}
PARTS = ("vae", "clip", "unet")


def processor() -> CLIPImageProcessor:
    """Pictures of 128 px in [-1, 1], which is what the vision tower was trained on."""
    size = {"height": SIZE, "width": SIZE}
    half = [0.5, 0.5, 0.5]
    return CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size=size, image_mean=half, image_std=half, do_convert_rgb=True
    )


def write_pipeline(*, latents: Path, clip: Path, unet: Path, out: Path) -> None:
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(latents / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(clip / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(clip / "tokenizer"),
        unet=UNet2DConditionModel.from_pretrained(unet / "unet"),
        scheduler=DDIMScheduler(**SCHEDULE),
        safety_checker=None,
        feature_extractor=processor(),
        image_encoder=CLIPVisionModelWithProjection.from_pretrained(clip / "image_encoder"),
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(out)
    for name in ("vocab.json", "merges.txt"):  # for transformers 4; 5 wrote tokenizer.json
        shutil.copyfile(clip / "tokenizer" / name, out / "tokenizer" / name)


def tidy(out: Path) -> None:
    """Configurations without paths of this machine, that load in float32; files that everybody can read."""
    for path in [*out.rglob("config.json"), *out.glob("model_index.json")]:
        config = json.loads(path.read_text())
        config.pop("_name_or_path", None)
        if path.parent.name in {"text_encoder", "image_encoder"}:
            config["dtype"] = "float32"  # transformers computes in what is noted here, diffusers in float32 anyway
        path.write_text(json.dumps(config, indent=2) + "\n")
    for path in out.rglob("*.safetensors"):
        path.chmod(0o644)


def training_of(work: Path) -> dict[str, Any]:
    """Steps, minutes and last losses, from the log."""
    last = json.loads((work / "log.jsonl").read_text().splitlines()[-1])
    return {"steps": last.pop("step"), "minutes": round(last.pop("seconds") / 60, 1), "last_losses": last}


def hashes(out: Path) -> dict[str, dict[str, Any]]:
    weights = sorted(out.rglob("*.safetensors"))
    return {
        str(path.relative_to(out)): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in weights
    }


def provenance(works: dict[str, Path]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "licence": "Apache-2.0",
        "data": DATA,
        "scripts": "eval/training/miniature, with their defaults and seed 0 unless the note says otherwise",
        "training": {name: training_of(work) for name, work in works.items()},
        "measured": {},
    }


def with_another_unet(work: Path, out: Path) -> dict[str, Any]:
    """Replace the UNet; its training is noted as having gone on from the one before."""
    UNet2DConditionModel.from_pretrained(work / "unet").half().save_pretrained(out / "unet")
    note: dict[str, Any] = json.loads((out / "provenance.json").read_text())
    before, now = note["training"]["unet"], training_of(work)
    now["started_from"] = {name: before[name] for name in ("steps", "minutes")}
    note["training"]["unet"] = now
    return note


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vae", type=Path, help="work folder of autoencoder.py")
    for name in ("clip", "latents", "unet"):
        parser.add_argument(f"--{name}", type=Path, help="work folder of that part")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--measured", type=Path, nargs="*", default=[], help="JSON files of measure.py")
    parser.add_argument("--note", default="", help="what the logs do not say, such as a changed rate")
    options = parser.parse_args()
    works = {name: vars(options)[name] for name in PARTS if vars(options)[name] is not None}
    if set(works) == {"unet"}:
        note = with_another_unet(options.unet, options.out)
    elif options.clip and options.latents and options.unet:
        write_pipeline(latents=options.latents, clip=options.clip, unet=options.unet, out=options.out)
        note = provenance(works)
    else:
        AutoencoderKL.from_pretrained(options.vae / "vae").half().save_pretrained(options.out / "vae")
        note = provenance(works)
    tidy(options.out)
    note["measured"] |= {path.stem: json.loads(path.read_text()) for path in options.measured}
    note |= {"files": hashes(options.out), "note": options.note or note.get("note", "")}
    text = json.dumps(note, indent=1, ensure_ascii=False)
    (options.out / "provenance.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
