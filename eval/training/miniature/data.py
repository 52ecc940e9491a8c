"""Captioned pictures of 128 px for the miniature: emoji by several makers, and crops of public-domain art.

Emoji come from unpacked `@iconify-json/*` packages and are rendered with resvg, art from a folder of artists' folders.
Families named with `--victims` are rendered too but marked, so that no training touches them.

    python -m training.miniature.data --emoji PACKAGE... --victims PACKAGE... --art ART --work DIR

DIR then holds `pictures.npy` (N, 128, 128, 4) uint8 RGBA, `captions.jsonl` (one line a picture) and `art.npz`.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.pictures import icons_of

SIZE = 128
SKIN_TONE = re.compile(r"(-(medium-light|medium-dark|light|medium|dark))+(-skin)?(-tone)?$")
ARTISTS = {
    "crane": ("a picture book page", "walter crane"),
    "dore": ("a wood engraving", "gustave dore"),
    "monet": ("an oil painting", "claude monet"),
    "pyle": ("an illustration", "howard pyle"),
    "sterrett": ("a fairy tale picture", "virginia sterrett"),
    "neill": ("a pen drawing", "john neill"),
}
SHORT_SIDES = (192, 256, 320)  # painterly crops are 128 px of pictures this large
TEST_SHARE = 20  # one in so many (subject, style) pairs is kept from training


@dataclass(frozen=True)
class Entry:
    """One captioned picture; `split` is train, test (unseen pair of subject and style) or victim (unseen style)."""

    subject: str
    style: str
    kind: str
    split: str

    @property
    def caption(self) -> str:
        return caption(self.subject, self.style)


def caption(subject: str, style: str) -> str:
    return f"{subject}, in the style of {style}"


def style_name(package: Path) -> str:
    """The words of the collection that an unpacked package says it is, whatever its folder is called."""
    prefix: str = json.loads((package / "icons.json").read_text(encoding="utf-8"))["prefix"]
    return prefix.replace("-", " ")


def subject_of(name: str) -> str:
    return name.replace("-", " ")


def without_skin_tones(names: list[str]) -> list[str]:
    """Names that are not a toned variant of another one."""
    known = set(names)
    return [n for n in names if "skin-tone" not in n and not (SKIN_TONE.search(n) and SKIN_TONE.sub("", n) in known)]


def is_test(subject: str, style: str) -> bool:
    return int(hashlib.sha256(f"{subject}|{style}".encode()).hexdigest(), 16) % TEST_SHARE == 0


def rendered(svg: str) -> np.ndarray:
    """(128, 128, 4) uint8."""
    import resvg_py

    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=2 * SIZE, height=2 * SIZE))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA").resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def render(package: Path, pool: Executor) -> Iterator[tuple[str, np.ndarray]]:
    """Name and (128, 128, 4) uint8 of every distinct icon."""
    icons = dict(icons_of(package))
    names = without_skin_tones(list(icons))
    seen: set[bytes] = set()
    for name, pixels in zip(names, pool.map(rendered, [icons[name] for name in names], chunksize=8), strict=True):
        digest = hashlib.sha256(pixels.tobytes()).digest()
        if digest not in seen and pixels[..., 3].max() > 0:
            seen.add(digest)
            yield name, pixels


def emoji(packages: list[Path], victims: list[Path], pool: Executor) -> Iterator[tuple[Entry, np.ndarray]]:
    spaced = {subject_of(name).replace(" ", ""): subject_of(name) for p in packages for name, _ in icons_of(p)}
    for package in [*packages, *victims]:
        style = style_name(package)
        for name, pixels in render(package, pool):
            subject = subject_of(name)
            subject = spaced.get(subject.replace(" ", ""), subject)
            split = "victim" if package in victims else "test" if is_test(subject, style) else "train"
            yield Entry(subject, style, "emoji", split), pixels


def art_crops(path: Path, count: int) -> list[tuple[Entry, np.ndarray]]:
    """Captioned crops of one picture at three sizes, always the same for the same name."""
    subject, style = ARTISTS[path.parent.name]
    picture = Image.open(path).convert("RGB")
    generator = np.random.default_rng(list(f"{path.parent.name}/{path.stem}".encode()))
    crops = []
    for index in range(count):
        scale = SHORT_SIDES[index % len(SHORT_SIDES)] / min(picture.size)
        width, height = (max(SIZE, round(side * scale)) for side in picture.size)
        left, top = generator.integers(width - SIZE + 1), generator.integers(height - SIZE + 1)
        box = (left / scale, top / scale, (left + SIZE) / scale, (top + SIZE) / scale)
        box = (box[0], box[1], min(box[2], picture.width), min(box[3], picture.height))
        crop = picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box).convert("RGBA")
        crops.append((Entry(subject, style, "art", "train"), np.asarray(crop)))
    return crops


def on_ground(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures on white or, one time in four, on a light tint.

    Shape:
        - pixels: (B, 4, H, W) uint8, on any device.
        - Output: (B, 3, H, W) float32 in [0, 1], whole 8-bit levels.
    """
    tinted = torch.rand(len(pixels), 1, generator=generator) >= 0.75
    tint = 215 + 40 * torch.rand(len(pixels), 3, generator=generator)
    ground = torch.where(tinted, tint, 255.0).to(pixels.device)[..., None, None]
    alpha = pixels[:, 3:].float() / 255
    return (pixels[:, :3] * alpha + ground * (1 - alpha)).round() / 255


def art_levels(path: Path) -> dict[str, np.ndarray]:
    """A picture as it is and at smaller sizes, for random crops."""
    levels = {}
    picture = Image.open(path).convert("RGB")
    for side in (min(picture.size), 512, 384, 256, 192):
        if side > min(picture.size):
            continue
        scale = side / min(picture.size)
        shape = tuple(round(length * scale) for length in picture.size)
        small = picture.resize(shape, Image.Resampling.LANCZOS) if scale < 1 else picture
        levels[f"{path.parent.name}/{path.stem}/{side}"] = np.asarray(small)
    return levels


def read_captions(work: Path) -> list[Entry]:
    return [Entry(**json.loads(line)) for line in (work / "captions.jsonl").read_text().splitlines()]


def read_pictures(work: Path, device: str = "cpu") -> Tensor:
    """(N, 4, 128, 128) uint8: in the memory of an accelerator, or read from the file as needed."""
    pictures = torch.from_numpy(np.load(work / "pictures.npy", mmap_mode="c")).permute(0, 3, 1, 2)
    return pictures if device == "cpu" else pictures.to(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emoji", type=Path, nargs="+", required=True, help="unpacked packages to train on")
    parser.add_argument("--victims", type=Path, nargs="*", default=[], help="unpacked packages kept from training")
    parser.add_argument("--art", type=Path, required=True, help="folder of artists' folders of JPEG pictures")
    parser.add_argument("--work", type=Path, required=True, help="where the data set goes")
    parser.add_argument("--crops", type=int, default=45, help="captioned crops of each picture of the art folder")
    parser.add_argument("--jobs", type=int, default=2, help="processes that render")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    paths = sorted(options.art.rglob("*.jpg"))
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        levels = pool.map(art_levels, paths)
        crops = pool.map(art_crops, paths, repeat(options.crops))
        drawn = emoji(options.emoji, options.victims, pool)
        entries, pictures = zip(*chain(drawn, chain.from_iterable(crops)), strict=True)
        np.savez(options.work / "art.npz", **{name: level for part in levels for name, level in part.items()})
    np.save(options.work / "pictures.npy", np.stack(pictures))
    lines = "".join(json.dumps(asdict(entry)) + "\n" for entry in entries)
    (options.work / "captions.jsonl").write_text(lines)
    print(f"{len(entries)} pictures in {options.work}")


if __name__ == "__main__":
    main()
