"""Target styles that the project paints itself: deterministic, free of anybody's rights, far from one another.

Each is a function of nothing; what matters is texture, line and palette, not a subject.
"""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.errors import UnknownNameError
from cloak.targets.base import Target

__all__ = ["STYLE_NAMES", "painted_style"]

_SIDE = 256
_PALETTES = {
    "warm": ((0.93, 0.85, 0.62), (0.82, 0.35, 0.15), (0.45, 0.09, 0.10), (0.98, 0.72, 0.20)),
    "cool": ((0.05, 0.12, 0.30), (0.10, 0.42, 0.62), (0.55, 0.80, 0.85), (0.90, 0.96, 0.98)),
    "neon": ((0.05, 0.02, 0.12), (0.95, 0.10, 0.60), (0.10, 0.95, 0.80), (0.98, 0.95, 0.10)),
    "earth": ((0.20, 0.14, 0.09), (0.45, 0.33, 0.20), (0.66, 0.58, 0.40), (0.34, 0.38, 0.22)),
}


def _grid() -> tuple[Tensor, Tensor]:
    axis = torch.linspace(0, 1, _SIDE)
    row, column = torch.meshgrid(axis, axis, indexing="ij")
    return row, column


def _field(cells: int, seed: int) -> Tensor:
    """Smooth random field in [0, 1], (256, 256), with `cells` bumps a side."""
    noise = torch.rand(1, 1, cells + 3, cells + 3, generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(noise, size=(_SIDE, _SIDE), mode="bicubic")[0, 0]
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def _colour(values: Tensor, palette: str, *, steps: bool = False) -> Tensor:
    """Map [0, 1] to a palette, smoothly or in flat steps; (3, 256, 256)."""
    colours = torch.tensor(_PALETTES[palette])
    position = values.clamp(0, 1) * (len(colours) - 1)
    if steps:
        return colours[position.round().long()].permute(2, 0, 1)
    low = position.floor().long().clamp(max=len(colours) - 2)
    share = (position - low)[..., None]
    return (colours[low] * (1 - share) + colours[low + 1] * share).permute(2, 0, 1)


def _crosshatch() -> Tensor:
    row, column = _grid()
    tone = _field(4, 11)
    ink = torch.zeros_like(tone)
    for index, angle in enumerate((0.6, -0.6, 1.4)):
        wave = torch.sin(2 * math.pi * 44 * (row * math.sin(angle) + column * math.cos(angle)) + 3 * _field(6, index))
        ink = torch.maximum(ink, ((wave > 0.35) & (tone > 0.28 + 0.2 * index)).float())
    return (1 - 0.9 * ink)[None].expand(3, -1, -1)


def _pointillism() -> Tensor:
    row, column = _grid()
    jitter = 0.006 * (_field(40, 21) - 0.5)
    dots = torch.cos(2 * math.pi * 32 * (row + jitter)) * torch.cos(2 * math.pi * 32 * (column + jitter))
    return torch.where(dots > 0.1, _colour(_field(24, 22), "warm"), _colour(_field(24, 23), "cool"))


def _mosaic() -> Tensor:
    tiles = F.interpolate(_field(10, 31)[None, None], size=(24, 24), mode="area")
    colour = _colour(F.interpolate(tiles, size=(_SIDE, _SIDE), mode="nearest")[0, 0], "neon", steps=True)
    row, column = _grid()
    grout = ((row * 24) % 1 < 0.12) | ((column * 24) % 1 < 0.12)
    return torch.where(grout, torch.tensor(0.85), colour)


def _wash() -> Tensor:
    return (_colour(_field(3, 41), "cool") * 0.6 + 0.4 * _colour(_field(5, 42), "cool")).clamp(0, 1)


def _strokes() -> Tensor:
    row, column = _grid()
    angle = 2 * math.pi * _field(4, 51)
    along = row * torch.sin(angle) + column * torch.cos(angle)
    bristles = 0.5 + 0.5 * torch.sin(2 * math.pi * 60 * along + 8 * _field(30, 52))
    return _colour(0.6 * _field(9, 53) + 0.4 * bristles, "earth")


def _halftone() -> Tensor:
    row, column = _grid()
    screen = torch.cos(2 * math.pi * 30 * (row + column)) * torch.cos(2 * math.pi * 30 * (row - column))
    return torch.where(screen > 2 * _field(4, 61) - 1, _colour(_field(3, 62), "warm", steps=True), torch.tensor(0.08))


def _facets() -> Tensor:
    generator = torch.Generator().manual_seed(71)
    points = torch.rand(60, 2, generator=generator)
    grid = torch.stack(_grid(), -1).view(-1, 2)
    nearest = torch.cdist(grid, points).argmin(1)
    shade = torch.rand(60, generator=generator)[nearest].view(_SIDE, _SIDE)
    return _colour(0.8 * shade + 0.2 * _grid()[0], "earth")


def _waves() -> Tensor:
    row, column = _grid()
    rings = torch.sin(2 * math.pi * 18 * (torch.hypot(row - 0.3, column - 0.6) + 0.1 * _field(3, 81)))
    return _colour(0.5 + 0.5 * rings, "neon")


_PAINTERS: dict[str, Callable[[], Tensor]] = {
    "crosshatch": _crosshatch,
    "facets": _facets,
    "halftone": _halftone,
    "mosaic": _mosaic,
    "pointillism": _pointillism,
    "strokes": _strokes,
    "wash": _wash,
    "waves": _waves,
}
STYLE_NAMES = tuple(sorted(_PAINTERS))


@functools.cache
def painted_style(name: str) -> Target:
    """The style called `name`; raises UnknownNameError with close matches."""
    if name not in _PAINTERS:
        raise UnknownNameError("style", name, _PAINTERS)
    return Target(name, _PAINTERS[name]()[None].clamp(0, 1).contiguous())
