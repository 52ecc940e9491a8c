"""Which style a picture is pushed towards."""

import functools
import os
import statistics
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.errors import UnknownNameError, UsageError
from cloak.image import read_picture
from cloak.perceptual import lpips, style_statistics
from cloak.targets.base import Target
from cloak.targets.key import read_key
from cloak.targets.painted import STYLE_NAMES, painted_style

__all__ = ["choose_target", "farthest_style", "style_distance"]

_SIDE = 256


def choose_target(x: Tensor, choice: str, *, key: Path | None = None) -> Target:
    """The target for the picture `x`, (1, 3, H, W).

    Args:
        x: the picture, in [0, 1].
        choice: "auto", a painted style's name or a picture file.
        key: portfolio key; decides when the choice is "auto".

    Raises:
        UnknownNameError: `choice` is neither a style nor a file.
    """
    if choice == "auto":
        return painted_style(read_key(key).style if key else farthest_style([x]))
    if choice in STYLE_NAMES:
        return painted_style(choice)
    if os.path.isfile(choice):  # unlike Path.is_file, False for names that no file can have
        return Target(Path(choice).name, _shrunk(read_picture(Path(choice)).pixels, 512))
    raise UnknownNameError("style or picture file", choice, (*STYLE_NAMES, "auto"))


def farthest_style(pictures: Iterable[Tensor]) -> str:
    """Name of the painted style that is on average farthest from the pictures' own, (1, 3, H, W) each.

    Raises:
        UsageError: there is no picture.
    """
    own = [_statistics(x, "alex") for x in pictures]
    if not own:
        raise UsageError("There is no picture to be far from.")
    distances = {name: [_apart(each, _painted_statistics(name)) for each in own] for name in STYLE_NAMES}
    return max(STYLE_NAMES, key=lambda name: statistics.fmean(distances[name]))


def style_distance(x: Tensor, y: Tensor, *, backbone: str = "vgg") -> float:
    """How far two pictures (1, 3, H, W) are apart in style; relative distance of feature statistics, 0 if equal."""
    return _apart(_statistics(x, backbone), _statistics(y, backbone))


def _statistics(x: Tensor, backbone: str) -> list[Tensor]:
    with torch.no_grad():
        return style_statistics(lpips(backbone).backbone(_shrunk(x, _SIDE)))


def _apart(first: list[Tensor], second: list[Tensor]) -> float:
    pairs = zip(first, second, strict=True)
    return float(torch.stack([(a - b).norm() / (a.norm() * b.norm()).sqrt() for a, b in pairs]).mean())


@functools.cache
def _painted_statistics(name: str) -> list[Tensor]:
    return _statistics(painted_style(name).picture, "alex")


def _shrunk(x: Tensor, side: int) -> Tensor:
    scale = side / min(x.shape[-2:])
    return x if scale >= 1 else F.interpolate(x, scale_factor=scale, mode="bilinear", antialias=True)
