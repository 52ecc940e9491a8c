"""Sums of losses, and one loss seen in several places."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cloak.inquiry import Inquiring, Inquiry, Loss, inquire

__all__ = ["WeightedSum"]


class WeightedSum(Inquiring):
    """A weighted sum of losses with the contract of one.

    Args:
        losses: each maps (B, 3, H, W) to (B,).
        weights: one for each loss.
    """

    def __init__(self, losses: Sequence[Loss], weights: Sequence[float]) -> None:
        if len(losses) != len(weights):
            raise ValueError(f"{len(losses)} losses need as many weights, got {len(weights)}")
        self.losses, self.weights = list(losses), list(weights)

    def inquire(self, x: Tensor) -> Inquiry:
        total = torch.zeros(len(x), device=x.device)
        for loss, weight in zip(self.losses, self.weights, strict=True):
            total = total + weight * (yield from inquire(loss, x))
        return total
