"""What the miniature can do, one command for each figure; every one prints JSON and writes it to `--out` if given.

    python -m training.miniature.measure reconstruct --vae DIR --art ART [--data DIR]
    python -m training.miniature.measure amplify     --models DIR... --art ART
    python -m training.miniature.measure retrieve    --clip DIR --data DIR
    python -m training.miniature.measure sample      --pipeline DIR --sheet PNG

ART is a folder of artists' folders that nothing was trained on.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cloak.surrogates import load_surrogate
from training.miniature.data import SIZE, caption, on_ground, read_captions, read_pictures

SIDES = {"whole": 128, "short_side_256": 256, "native": None}  # short side before the central 128 px are cut out
SUBJECTS = ("grinning face", "dog", "red apple", "house", "airplane", "tulip")
STYLES = ("noto", "fluent emoji", "twemoji", "emojione", "claude monet", "gustave dore")


def centre(picture: Image.Image, size: int, short_side: int | None) -> Tensor:
    """(1, 3, size, size) in [0, 1]: the middle of a picture, resized before unless `short_side` is None."""
    if short_side is not None:
        scale = short_side / min(picture.size)
        picture = picture.resize(
            (max(size, round(picture.width * scale)), max(size, round(picture.height * scale))),
            Image.Resampling.LANCZOS,
        )
    left, top = (picture.width - size) // 2, (picture.height - size) // 2
    crop = np.array(picture.convert("RGB").crop((left, top, left + size, top + size)))
    return torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255


def art_pictures(folder: Path, per_artist: int | None = None) -> Iterator[tuple[str, Path]]:
    for artist in sorted(p for p in folder.iterdir() if p.is_dir()):
        for path in sorted(artist.glob("*.jpg"))[:per_artist]:
            yield artist.name, path


def psnr(x: Tensor, y: Tensor) -> float:
    """Of 8-bit pictures, decibel."""
    y = (y.clamp(0, 1) * 255).round() / 255
    return float(-10 * (x - y).square().mean().clamp_min(1e-10).log10())


@torch.no_grad()
def reconstruct(options: argparse.Namespace) -> dict[str, Any]:
    """PSNR of decode(mode of encode(x)), in float32."""
    surrogate = load_surrogate(str(options.vae))

    def quality(x: Tensor) -> float:
        return psnr(x, surrogate.see(x))

    rows: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in SIDES}
    for artist, path in art_pictures(options.art):
        with Image.open(path) as picture:
            for name, side in SIDES.items():
                rows[name][artist].append(quality(centre(picture, SIZE, side)))
    result = {name: _means(values) for name, values in rows.items()}
    if options.data is not None:
        result["victim_emoji"] = _means(_victims(options.data, quality))
    return result


def _victims(data: Path, quality: Any) -> dict[str, list[float]]:
    pictures, generator = read_pictures(data), torch.Generator().manual_seed(0)
    values: dict[str, list[float]] = defaultdict(list)
    for row, entry in enumerate(read_captions(data)):
        if entry.split == "victim" and row % 20 == 0:
            values[entry.style].append(quality(on_ground(pictures[row : row + 1], generator)))
    return values


def _means(values: dict[str, list[float]]) -> dict[str, Any]:
    every = [v for group in values.values() for v in group]
    by_group = {name: round(statistics.mean(group), 2) for name, group in values.items()}
    return {"pictures": len(every), "psnr": round(statistics.mean(every), 2), "by_group": by_group}


def amplify(options: argparse.Namespace) -> dict[str, Any]:
    from training.miniature.amplification import amplification

    pictures = [path for _, path in art_pictures(options.art, options.per_artist)]
    originals = [centre(Image.open(path), options.side, options.side) for path in pictures]
    results = {
        "/".join(Path(model).parts[-2:]): amplification(model, originals, options.steps) for model in options.models
    }
    return {"side": options.side, **results}


@torch.no_grad()
def retrieve(options: argparse.Namespace) -> dict[str, Any]:
    """Top-1 and top-5 of pictures and captions that no training saw, among all of these captions."""
    from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

    from training.miniature.clip import tokens_of, unit

    entries = read_captions(options.data)
    rows = [row for row, entry in enumerate(entries) if entry.split == "test"]
    captions = sorted({entries[row].caption for row in rows})
    goal = torch.tensor([captions.index(entries[row].caption) for row in rows])
    x = 2 * on_ground(read_pictures(options.data)[rows], torch.Generator().manual_seed(0)) - 1
    vision = CLIPVisionModelWithProjection.from_pretrained(options.clip / "image_encoder").float()
    text = CLIPTextModel.from_pretrained(options.clip / "text_encoder").float()
    tokens = tokens_of(CLIPTokenizer.from_pretrained(options.clip / "tokenizer"), captions)
    images, texts = unit(vision(x).image_embeds), unit(text(tokens).pooler_output)
    order = (images @ texts.T).argsort(1, descending=True)  # (pictures, captions)
    hit = order == goal[:, None]
    best = order[:, 0]
    same_style = [entries[row].style == captions[i].split(" style of ")[1] for row, i in zip(rows, best, strict=True)]
    return {
        "pictures": len(rows),
        "captions": len(captions),
        "top1": round(float(hit[:, :1].any(1).float().mean()), 4),
        "top5": round(float(hit[:, :5].any(1).float().mean()), 4),
        "style_top1": round(statistics.mean(same_style), 4),
        "chance_top5": round(5 / len(captions), 4),
    }


def sample(options: argparse.Namespace) -> dict[str, Any]:
    """A grid: subjects down, styles across."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(options.pipeline)
    pipeline.set_progress_bar_config(disable=True)
    begin, rows = time.perf_counter(), []
    for subject in SUBJECTS:
        prompts = [caption(subject, style) for style in STYLES]
        generators = [torch.Generator().manual_seed(seed) for seed in range(len(prompts))]
        pictures = pipeline(
            prompts, generator=generators, num_inference_steps=options.steps, guidance_scale=options.guidance
        ).images
        rows.append(np.concatenate([np.asarray(picture) for picture in pictures], 1))
    options.sheet.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(options.sheet)
    seconds = (time.perf_counter() - begin) / (len(SUBJECTS) * len(STYLES))
    return {"steps": options.steps, "guidance": options.guidance, "seconds_per_picture": round(seconds, 2)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    paths: dict[Any, dict[str, str]] = {
        reconstruct: {"vae": "folder of the autoencoder, or of any published one", "art": "folder of artists' folders"},
        amplify: {"art": "folder of artists' folders"},
        retrieve: {"clip": "folder with both towers and the tokenizer", "data": "folder that data.py wrote"},
        sample: {"pipeline": "folder of the whole pipeline", "sheet": "PNG to write"},
    }
    added = {}
    for function, names in paths.items():
        command = added[function] = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(function=function)
        command.add_argument("--out", type=Path, help="JSON file to write")
        for name, text in names.items():
            command.add_argument(f"--{name}", type=Path, required=True, help=text)
    added[reconstruct].add_argument("--data", type=Path, help="folder that data.py wrote, for the victims' emoji")
    added[amplify].add_argument("--models", nargs="+", required=True, help="folders or names of models with a decoder")
    added[amplify].add_argument("--per-artist", type=int, default=1, help="pictures of each artist")
    added[amplify].add_argument("--side", type=int, default=256, help="pixels of the square that is attacked")
    added[amplify].add_argument("--steps", type=int, default=30, help="of each attack")
    added[sample].add_argument("--steps", type=int, default=30, help="of the sampler")
    added[sample].add_argument("--guidance", type=float, default=4.0, help="classifier-free guidance")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    result = options.function(options)
    text = json.dumps(result, indent=1)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
