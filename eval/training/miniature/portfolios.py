"""Folders of pictures by style, as an artist would post them, for mimics to be trained on and judges to know.

    python -m training.miniature.portfolios --data DIR --styles fxemoji noto twemoji --count 48 --out DIR

Writes `STYLE/0001.png` on white and `0001.txt` with what it shows; different subjects for each style. The captions of
families that the miniature was not trained on were never seen by it either.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from training.miniature.data import Entry, read_captions


def chosen(entries: list[Entry], style: str, count: int, *, seed: int) -> list[int]:
    """Rows of so many pictures of a style, drawn at random; raises ValueError when there are fewer."""
    named = style.replace("-", " ")
    rows = [row for row, entry in enumerate(entries) if entry.style == named]
    if len(rows) < count:
        raise ValueError(f"there are {len(rows)} pictures of {style!r}, {count} were asked for")
    return [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))[:count]]


def on_white(picture: np.ndarray) -> Image.Image:
    """(128, 128, 4) or (128, 128, 3) uint8 without transparency."""
    image = Image.fromarray(picture)
    if image.mode == "RGBA":
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that data.py wrote")
    parser.add_argument("--styles", nargs="+", required=True)
    parser.add_argument("--count", type=int, default=48, help="pictures of each style")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    entries, pictures = read_captions(options.data), np.load(options.data / "pictures.npy", mmap_mode="r")
    for style in options.styles:
        folder = options.out / style
        folder.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(chosen(entries, style, options.count, seed=len(style)), 1):
            on_white(np.asarray(pictures[row])).save(folder / f"{number:04d}.png")
            (folder / f"{number:04d}.txt").write_text(entries[row].subject, encoding="utf-8")


if __name__ == "__main__":
    main()
