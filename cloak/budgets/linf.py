"""The largest change of any channel of any pixel, and of its lightness, weighted by what the place can hide."""

import torch
from torch import Tensor

from cloak.budgets.base import Budget

__all__ = ["Linf"]

_ROUNDING = 2e-7  # differences of pictures in float32 are no more exact than this
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Linf(Budget):
    """|x - x0| <= flat + (epsilon - flat) * weights for every channel, and likewise for the luma with `flat_luma`.

    Fine patterns are seen by their lightness first: the eye resolves colour three to five times more coarsely (Mullen
    1985, "The contrast sensitivity of human colour vision", J. Physiol. 359). So on flat colour, where nothing masks
    a pattern, a change of colour may be larger than one of lightness.

    Args:
        epsilon: radius where the weight is 1, [0, 1] units.
        weights: (B, 1, H, W) or (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        flat: radius where the weight is 0, at most epsilon.
        flat_luma: largest change of luma where the weight is 0, at most flat; None for no bound of its own.
        allowed: share of all bounds that each place may use, shaped like the weights; None for 1 everywhere.
        recentre: near black and white, where a value can move to one side only, give that side the room that the other
            lacks. A pattern on white paper keeps its contrast then, around a mean that is darker by up to the radius.
    """

    def __init__(
        self,
        epsilon: float,
        *,
        weights: Tensor | None = None,
        flat: float = 0.0,
        flat_luma: float | None = None,
        allowed: Tensor | None = None,
        recentre: bool = False,
    ) -> None:
        if not 0 < epsilon <= 1:
            raise ValueError(f"epsilon must be in (0, 1], got {epsilon}")
        self.epsilon, self.flat = epsilon, flat
        self.flat_luma = flat if flat_luma is None else flat_luma
        self.weights = torch.ones(1, 1, 1, 1) if weights is None else weights
        self.allowed = torch.ones(1, 1, 1, 1) if allowed is None else allowed
        self.recentre = recentre

    @property
    def radius(self) -> Tensor:
        """The bound on each channel at each pixel, broadcastable to (B, 3, H, W)."""
        return self._bound(self.flat)

    @property
    def luma_radius(self) -> Tensor:
        """The bound on the change of luma at each pixel, broadcastable to (B, 1, H, W)."""
        return self._bound(self.flat_luma)

    def _bound(self, flat: float) -> Tensor:
        return self.allowed * (flat + max(0.0, self.epsilon - flat) * self.weights)

    def _limits(self, x0: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        """Lowest and highest change of values `x0` in [0, 1] by `radius`."""
        if not self.recentre:
            return -radius.expand_as(x0), radius.expand_as(x0)
        moved = (radius - x0).clamp_min(0) - (radius - (1 - x0)).clamp_min(0)
        return moved - radius, moved + radius

    def distance(self, x0: Tensor, x: Tensor) -> Tensor:
        change = x - x0
        channels = _share(change, *self._limits(x0, self.radius))
        luma = _share(_luma(change), *self._limits(_luma(x0), self.luma_radius))
        return torch.maximum(channels.flatten(1).amax(1), luma.flatten(1).amax(1))

    def project(self, x: Tensor, x0: Tensor) -> Tensor:
        """Clip each channel and the luma; what colour is left beside the luma shrinks until every channel fits."""
        low, high = self._limits(x0, self.radius)
        low, high = torch.maximum(low, -x0), torch.minimum(high, 1 - x0)
        change = torch.maximum(torch.minimum(x - x0, high), low)
        luma = _luma(change)
        darkest, lightest = self._limits(_luma(x0), self.luma_radius)
        beyond = (luma > lightest + _ROUNDING) | (luma < darkest - _ROUNDING)
        if not beyond.any():
            return (x0 + change).clamp(0, 1)
        bounded = torch.maximum(torch.minimum(luma, lightest), darkest)
        bounded = torch.maximum(torch.minimum(bounded, high.amin(1, keepdim=True)), low.amax(1, keepdim=True))
        colour = change - luma
        room = torch.where(colour > 0, high - bounded, bounded - low)
        share = (room / colour.abs().clamp_min(1e-9)).amin(1, keepdim=True).clamp(0, 1)
        return (x0 + torch.where(beyond, bounded + share * colour, change)).clamp(0, 1)

    def to(self, device: torch.device) -> "Linf":
        """The same ball on another device."""
        return Linf(
            self.epsilon,
            weights=self.weights.to(device),
            flat=self.flat,
            flat_luma=self.flat_luma,
            allowed=self.allowed.to(device),
            recentre=self.recentre,
        )


def _luma(change: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, 1, H, W)."""
    return (change * change.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _share(change: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How much of the way to its limit each change takes."""
    limit = torch.where(change > 0, high, -low)
    return (change.abs() - _ROUNDING).clamp_min(0) / limit.clamp_min(1e-6)
