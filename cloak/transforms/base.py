"""Differentiable stand-ins for what attackers and platforms do to a picture. Sampled first, then applied."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from cloak.registry import Registry

__all__ = ["TRANSFORMS", "Parameters", "Transform"]

Parameters = dict[str, Any]


class Transform(ABC):
    """One kind of processing. `apply` keeps shape and range and is deterministic; all chance is in `sample`."""

    @abstractmethod
    def sample(self, shape: torch.Size, generator: torch.Generator) -> Parameters:
        """Draw parameters for pictures of `shape`, (B, 3, H, W)."""

    @abstractmethod
    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        """Process `x`, (B, 3, H, W) in [0, 1], with what `sample` drew."""

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return self.apply(x, self.sample(x.shape, generator))


TRANSFORMS: Registry[type[Transform]] = Registry("transform", "cloak.transforms")


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One number from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator))
