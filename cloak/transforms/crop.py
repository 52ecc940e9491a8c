"""A part of the picture, brought back to its size: what a data loader's random crop does."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.transforms.base import TRANSFORMS, Parameters, Transform, uniform

__all__ = ["Crop"]


@TRANSFORMS.register("crop", summary="a part of 0.8 to 1 of each side, resized back")
class Crop(Transform):
    """Random crop, resized back to the picture's size.

    Args:
        share: range of the part's sides, as a share of the picture's.
    """

    def __init__(self, share: tuple[float, float] = (0.8, 1.0)) -> None:
        self.share = share

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Parameters:
        share = uniform(*self.share, generator)
        height, width = (max(1, round(share * side)) for side in shape[-2:])
        top, left = (int(uniform(0, room + 1, generator)) for room in (shape[-2] - height, shape[-1] - width))
        return {"box": (top, left, height, width)}

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        top, left, height, width = parameters["box"]
        part = x[..., top : top + height, left : left + width]
        return F.interpolate(part, size=x.shape[-2:], mode="bilinear")
