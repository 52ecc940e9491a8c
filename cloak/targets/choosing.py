"""Which style a picture is pushed towards."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.errors import UnknownNameError
from cloak.image import read_picture
from cloak.perceptual import lpips, style_statistics
from cloak.targets.base import Target
from cloak.targets.key import read_key
from cloak.targets.painted import STYLE_NAMES, painted_style

__all__ = ["choose_target", "style_distance"]

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
        return painted_style(read_key(key).style) if key else _farthest(x)
    if choice in STYLE_NAMES:
        return painted_style(choice)
    if Path(choice).is_file():
        return Target(Path(choice).name, _shrunk(read_picture(Path(choice)).pixels, 512))
    raise UnknownNameError("style or picture file", choice, (*STYLE_NAMES, "auto"))


def style_distance(x: Tensor, y: Tensor, *, backbone: str = "vgg") -> float:
    """How far two pictures (1, 3, H, W) are apart in style; relative distance of feature statistics, 0 if equal."""
    network = lpips(backbone).backbone
    with torch.no_grad():
        first, second = (style_statistics(network(_shrunk(p, _SIDE))) for p in (x, y))
    pairs = zip(first, second, strict=True)
    return float(torch.stack([(a - b).norm() / (a.norm() * b.norm()).sqrt() for a, b in pairs]).mean())


def _farthest(x: Tensor) -> Target:
    """The painted style that is farthest from the picture's own."""
    styles = [painted_style(name) for name in STYLE_NAMES]
    return max(styles, key=lambda style: style_distance(x, style.picture, backbone="alex"))


def _shrunk(x: Tensor, side: int) -> Tensor:
    scale = side / min(x.shape[-2:])
    return x if scale >= 1 else F.interpolate(x, scale_factor=scale, mode="bilinear", antialias=True)
