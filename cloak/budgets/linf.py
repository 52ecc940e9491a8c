"""The largest change of any channel of any pixel, and of its lightness, bounded by what the place can hide."""

import torch
from torch import Tensor

from cloak.budgets.base import Budget

__all__ = ["Linf"]

_ROUNDING = 2e-7  # differences of pictures in float32 are no more exact than this
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Linf(Budget):
    """|x - x0| <= radius for every channel, and the change of luma likewise.

    Fine patterns are seen by their lightness first: the eye resolves colour three to five times more coarsely (Mullen
    1985, "The contrast sensitivity of human colour vision", J. Physiol. 359). So where nothing masks a pattern, a
    change of colour may be larger than one of lightness.

    Args:
        radius: bound on each channel, [0, 1] units: one number, or (B, 1, H, W) or (1, 1, H, W) with one for each
            place; 0 where nothing may change.
        luma: bound on the change of luma, in the same way; None for no bound of its own.
    """

    def __init__(self, radius: float | Tensor, *, luma: float | Tensor | None = None) -> None:
        if isinstance(radius, float | int) and not 0 < radius <= 1:
            raise ValueError(f"the radius must be in (0, 1], got {radius}")
        self.radius = _map(radius)
        self.luma = self.radius if luma is None else _map(luma)

    def distance(self, x0: Tensor, x: Tensor) -> Tensor:
        change = x - x0
        channels, luma = _share(change, self.radius), _share(_luma(change), self.luma)
        return torch.maximum(channels.flatten(1).amax(1), luma.flatten(1).amax(1))

    def project(self, x: Tensor, x0: Tensor) -> Tensor:
        """Clip each channel and the luma; what colour is left beside the luma shrinks until every channel fits."""
        low, high = torch.maximum(-self.radius, -x0), torch.minimum(self.radius, 1 - x0)
        change = torch.maximum(torch.minimum(x - x0, high), low)
        luma = _luma(change)
        beyond = luma.abs() > self.luma + _ROUNDING
        if not beyond.any():
            return (x0 + change).clamp(0, 1)
        bounded = torch.maximum(torch.minimum(luma, self.luma), -self.luma)
        bounded = torch.maximum(torch.minimum(bounded, high.amin(1, keepdim=True)), low.amax(1, keepdim=True))
        colour = change - luma
        room = torch.where(colour > 0, high - bounded, bounded - low)
        share = (room / colour.abs().clamp_min(1e-9)).amin(1, keepdim=True).clamp(0, 1)
        return (x0 + torch.where(beyond, bounded + share * colour, change)).clamp(0, 1)

    def to(self, device: torch.device) -> "Linf":
        """The same ball on another device."""
        return Linf(self.radius.to(device), luma=self.luma.to(device))


def _map(bound: float | Tensor) -> Tensor:
    return bound if isinstance(bound, Tensor) else torch.full((1, 1, 1, 1), bound)


def _luma(change: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, 1, H, W)."""
    return (change * change.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _share(change: Tensor, limit: Tensor) -> Tensor:
    """How much of the way to its limit each change takes."""
    return (change.abs() - _ROUNDING).clamp_min(0) / limit.clamp_min(1e-6)
