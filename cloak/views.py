"""Where the models look during optimisation: the picture as trainers prepare it, and parts of it in detail.

A change is most effective on the grid of latent pixels that it was made on: seen at another size, or a few pixels off,
a third to a half is left. Steps spent on random sizes and offsets lost more on the grid than they gained off it
(docs/effect.md), so the size that trainers use comes first.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.inquiry import Inquiring, Inquiry, Loss, inquire
from cloak.surrogates.padding import SMALLEST_SIDE

__all__ = [
    "View",
    "ViewedLoss",
    "detail_views",
    "for_models",
    "resized",
    "scale_for",
    "whole_view",
]

_GRID = 8  # pixels of the picture for one of the latent, along a side
_LONGEST = 2.5  # very long pictures are looked at with at most this many times side * side pixels


@dataclass(frozen=True)
class View:
    """A way of looking at the working picture."""

    name: str
    look: Callable[[Tensor], Tensor]


def scale_for(x: Tensor, side: int) -> float:
    """Factor that brings the short side of (B, 3, H, W) down to `side` (never up), very long pictures further."""
    height, width = x.shape[-2:]
    return min(1.0, side / min(height, width), math.sqrt(_LONGEST * side * side / (height * width)))


def resized(x: Tensor, scale: float) -> Tensor:
    """Antialiased downscaling, as data loaders do it; (B, 3, H, W) in [0, 1]."""
    if scale >= 1:
        return x
    size = tuple(max(8, round(scale * length)) for length in x.shape[-2:])
    return F.interpolate(x, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def for_models(x: Tensor) -> Tensor:
    """Continue a picture with a side below 8 px, the least that models take, by its last row or column."""
    height, width = x.shape[-2:]
    right, below = max(0, SMALLEST_SIDE - width), max(0, SMALLEST_SIDE - height)
    return F.pad(x, (0, right, 0, below), mode="replicate") if right or below else x


def whole_view(x: Tensor, side: int) -> View:
    """All of the picture, short side at most `side`."""
    scale = scale_for(x, side)
    return View(f"whole at {side}", lambda picture: for_models(resized(picture, scale)))


def detail_views(x: Tensor, side: int) -> list[View]:
    """Overlapping parts of `side` pixels, on the latent grid, that cover a larger picture (but for a rim of 7 px)."""
    height, width = x.shape[-2:]
    if min(height, width) < side + 16:
        return []
    return [View("detail", _crop(top, left, side)) for top in _starts(height, side) for left in _starts(width, side)]


def _starts(length: int, side: int) -> list[int]:
    count = max(2, -(-length // side))
    return [index * (length - side) // (count - 1) // _GRID * _GRID for index in range(count)]


def _crop(top: int, left: int, side: int) -> Callable[[Tensor], Tensor]:
    return lambda picture: picture[..., top : top + side, left : left + side]


class ViewedLoss(Inquiring):
    """Each call looks through one view, drawn at random, and evaluates that view's loss there.

    Args:
        views: with the probability of each and the loss that was prepared for what it shows.
        generator: source of chance.
    """

    def __init__(self, views: Sequence[tuple[View, float, Loss]], *, generator: torch.Generator) -> None:
        self.views, self.generator = list(views), generator
        self._probabilities = torch.tensor([probability for _, probability, _ in views])

    def inquire(self, x: Tensor) -> Inquiry:
        index = int(torch.multinomial(self._probabilities, 1, generator=self.generator))
        view, _, loss = self.views[index]
        return (yield from inquire(loss, view.look(x)))
