"""Mirrored, as data loaders do with every other picture."""

import torch
from torch import Tensor

from cloak.transforms.base import TRANSFORMS, Parameters, Transform, uniform

__all__ = ["Flip"]


@TRANSFORMS.register("flip", summary="mirrored from left to right, every other time")
class Flip(Transform):
    """Left and right exchanged with probability one half."""

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Parameters:  # noqa: ARG002
        return {"mirrored": uniform(0, 1, generator) < 0.5}

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        return x.flip(-1) if parameters["mirrored"] else x
