"""The largest change of any channel of any pixel, weighted by what the place can hide."""

import torch
from torch import Tensor

from cloak.budgets.base import Budget

__all__ = ["Linf"]

_ROUNDING = 2e-7  # differences of pictures in float32 are no more exact than this


class Linf(Budget):
    """|x - x0| <= flat + (epsilon - flat) * weights, everywhere.

    Args:
        epsilon: radius where the weight is 1, [0, 1] units.
        weights: (B, 1, H, W) or (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        flat: radius where the weight is 0, at most epsilon; a number, or a map shaped like the weights.
    """

    def __init__(self, epsilon: float, *, weights: Tensor | None = None, flat: Tensor | float = 0.0) -> None:
        if not 0 < epsilon <= 1:
            raise ValueError(f"epsilon must be in (0, 1], got {epsilon}")
        self.epsilon, self.flat = epsilon, torch.as_tensor(flat)
        self.weights = torch.ones(1, 1, 1, 1) if weights is None else weights

    @property
    def radius(self) -> Tensor:
        """The bound at each pixel, broadcastable to (B, 3, H, W)."""
        return self.flat + (self.epsilon - self.flat).clamp_min(0) * self.weights

    def distance(self, x0: Tensor, x: Tensor) -> Tensor:
        change = ((x - x0).abs() - _ROUNDING).clamp_min(0)
        share = change / self.radius.clamp_min(1e-6)
        return share.flatten(1).amax(1)

    def project(self, x: Tensor, x0: Tensor) -> Tensor:
        radius = self.radius
        return torch.maximum(torch.minimum(x, x0 + radius), x0 - radius).clamp(0, 1)

    def to(self, device: torch.device) -> "Linf":
        """The same ball on another device."""
        return Linf(self.epsilon, weights=self.weights.to(device), flat=self.flat.to(device))

    def scale(self, factor: float) -> "Linf":
        return Linf(min(1.0, self.epsilon * factor), weights=self.weights, flat=self.flat * factor)

    def widen(self, factor: float) -> "Linf":
        """The same ball with another epsilon; what flat colour may carry stays as it is."""
        return Linf(min(1.0, self.epsilon * factor), weights=self.weights, flat=self.flat)
