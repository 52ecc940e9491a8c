"""A style to push towards."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Target"]


@dataclass(frozen=True, eq=False)
class Target:
    """A picture in the style to push towards.

    Args:
        name: of the style, or of the picture's file.
        picture: (1, 3, h, w) in [0, 1].
    """

    name: str
    picture: Tensor

    def at(self, shape: torch.Size | tuple[Any, ...]) -> Tensor:
        """The target as a picture of the given (B, 3, H, W): scaled to cover it, then cropped in the middle."""
        batch, _, height, width = shape
        scale = max(height / self.picture.shape[-2], width / self.picture.shape[-1])
        size = tuple(
            max(goal, round(scale * side)) for goal, side in zip((height, width), self.picture.shape[-2:], strict=True)
        )
        covered = F.interpolate(self.picture, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        return covered[..., top : top + height, left : left + width].expand(batch, -1, -1, -1)
