"""Training pictures: public-domain art and permissively licensed emoji, as random crops.

Art is read from a folder of artists' folders. Emoji are rendered from unpacked `@iconify-json/*` npm packages
(noto, fluent-emoji, fluent-emoji-flat, fxemoji: MIT or Apache-2.0) with resvg.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["PictureSampler", "icons_of", "load_art", "render_emoji"]

EMOJI_SIZE = 256


def load_art(folder: Path) -> list[np.ndarray]:
    """Every picture below `folder` as (H, W, 3) uint8, short side at most 768."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.rglob("*.jpg"))]


def icons_of(package: Path) -> Iterator[tuple[str, str]]:
    """Name and SVG of every icon of an unpacked package."""
    data = json.loads((package / "icons.json").read_text())
    for name, icon in data["icons"].items():
        width, height = icon.get("width", data.get("width", 16)), icon.get("height", data.get("height", 16))
        yield (
            name,
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {width} {height}">{icon["body"]}</svg>',
        )


def render_emoji(
    packages: list[Path], *, per_package: int, generator: torch.Generator, size: int = EMOJI_SIZE
) -> np.ndarray:
    """(N, size, size, 4) uint8 RGBA renderings of `per_package` random icons of each unpacked package."""
    import resvg_py

    pictures = []
    for package in packages:
        icons = [(name, svg) for name, svg in icons_of(package) if "skin-tone" not in name and "-tone" not in name]
        order = torch.randperm(len(icons), generator=generator)[:per_package].tolist()
        for index in order:
            png = bytes(resvg_py.svg_to_bytes(svg_string=icons[index][1], width=size, height=size))
            picture = Image.open(io.BytesIO(png)).convert("RGBA").resize((size, size))
            pictures.append(np.asarray(picture))
    return np.stack(pictures)


class PictureSampler:
    """Draws random crops; art with probability `art_share`, otherwise one emoji on a flat or painted ground."""

    def __init__(
        self, art: list[np.ndarray], emoji: np.ndarray, *, art_share: float, generator: torch.Generator
    ) -> None:
        self.art, self.emoji, self.art_share, self.generator = art, emoji, art_share, generator

    def _uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def _integer(self, high: int) -> int:
        return int(torch.randint(high, (), generator=self.generator))

    def _art(self, size: int) -> np.ndarray:
        picture = self.art[self._integer(len(self.art))]
        height, width = picture.shape[:2]
        side = int(min(size * self._uniform(0.7, 2.2), height, width))
        top, left = self._integer(height - side + 1), self._integer(width - side + 1)
        crop = Image.fromarray(picture[top : top + side, left : left + side])
        if self._uniform(0, 1) < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(crop.resize((size, size), Image.Resampling.BICUBIC))

    def _emoji(self, size: int) -> np.ndarray:
        icon = Image.fromarray(self.emoji[self._integer(len(self.emoji))])
        ground = self._art(size) if self._uniform(0, 1) < 0.2 else np.full((size, size, 3), 255, np.uint8)
        if self._uniform(0, 1) < 0.5:
            ground = np.broadcast_to(np.array([self._integer(256) for _ in range(3)], np.uint8), (size, size, 3))
        side = int(size * self._uniform(0.6, 1.6))
        icon = icon.resize((side, side), Image.Resampling.BICUBIC)
        canvas = Image.fromarray(np.ascontiguousarray(ground))
        offset = int(self._uniform(-0.3, 0.3) * size + (size - side) / 2)
        canvas.paste(icon, (offset, int(self._uniform(-0.2, 0.2) * size + (size - side) / 2)), icon)
        return np.asarray(canvas)

    def crop(self, size: int) -> Tensor:
        """One (3, size, size) picture in [0, 1]."""
        picture = self._art(size) if self._uniform(0, 1) < self.art_share else self._emoji(size)
        return torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255
