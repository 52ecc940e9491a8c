"""The largest change of any channel of any pixel, weighted by what the place can hide."""

import torch
from torch import Tensor

from cloak.budgets.base import Budget

__all__ = ["Linf"]


class Linf(Budget):
    """|x - x0| <= epsilon * weights, everywhere.

    Args:
        epsilon: radius in [0, 1] units.
        weights: (B, 1, H, W) or (1, 1, H, W) in [0, 1]; None for 1 everywhere.
    """

    def __init__(self, epsilon: float, *, weights: Tensor | None = None) -> None:
        if not 0 < epsilon <= 1:
            raise ValueError(f"epsilon must be in (0, 1], got {epsilon}")
        self.epsilon = epsilon
        self.weights = torch.ones(1, 1, 1, 1) if weights is None else weights

    @property
    def radius(self) -> Tensor:
        """The bound at each pixel, broadcastable to (B, 3, H, W)."""
        return self.epsilon * self.weights

    def distance(self, x0: Tensor, x: Tensor) -> Tensor:
        share = (x - x0).abs() / self.radius.clamp_min(1e-6)
        return share.flatten(1).amax(1)

    def project(self, x: Tensor, x0: Tensor) -> Tensor:
        radius = self.radius
        return torch.maximum(torch.minimum(x, x0 + radius), x0 - radius).clamp(0, 1)

    def scale(self, factor: float) -> "Linf":
        return Linf(min(1.0, self.epsilon * factor), weights=self.weights)
