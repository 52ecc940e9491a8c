"""The hard cap on what is written: perceptual distance, colour difference and largest change, all three together."""

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cloak.budgets.base import Budget, Realise
from cloak.perceptual import LPIPS, delta_e_2000

__all__ = ["PerceptualBudget", "Visibility", "fit_scale", "round_to_8_bits", "visibility_from"]

_ROWS = 512  # colour differences are computed in bands of this many rows, so that memory stays bounded
_EXPONENT = 0.6  # a change's scale goes with about this power of its visibility


def round_to_8_bits(x: Tensor) -> Tensor:
    """The nearest picture that 8 bits a channel can hold."""
    return (x.clamp(0, 1) * 255).round() / 255


@dataclass(frozen=True, slots=True)
class Visibility:
    """Caps, or what a picture uses of them.

    Args:
        lpips: perceptual distance, shift-tolerant LPIPS with the AlexNet backbone.
        delta_e: 95th percentile of CIEDE2000.
        linf: largest change of a channel, [0, 1].
    """

    lpips: float
    delta_e: float
    linf: float

    def share_of(self, caps: "Visibility") -> float:
        """The largest of the three in units of its cap."""
        return max(self.lpips / caps.lpips, self.delta_e / caps.delta_e, self.linf / caps.linf)


def visibility_from(x0: Tensor, metric: LPIPS) -> Callable[[Tensor], Visibility]:
    """A function that measures pictures against `x0`, (1, 3, H, W) both, reusing what can be computed once.

    A picture that comes again, as the fitted one does when it is read back from the file, is not measured again.
    """
    distance = metric.from_original(x0)
    known: dict[bytes, Visibility] = {}

    def measure(x: Tensor) -> Visibility:
        key = hashlib.blake2b(x.detach().cpu().contiguous().numpy().data).digest()
        if key not in known:
            linf = float((x - x0).abs_().max())
            known[key] = Visibility(lpips=distance(x), delta_e=delta_e_percentile(x0, x), linf=linf)
        return known[key]

    return measure


class PerceptualBudget(Budget):
    """All of LPIPS, CIEDE2000 (95th percentile) and L-infinity at most their caps.

    There is no closed form, so `project` goes back along the straight line to the original.

    Args:
        caps: the three limits.
        metric: the LPIPS instance that the cap is meant for.
        realise: what storing does to a picture; the caps hold for the stored one.
    """

    def __init__(self, caps: Visibility, *, metric: LPIPS, realise: Realise = round_to_8_bits) -> None:
        self.caps, self.metric, self.realise = caps, metric, realise

    def distance(self, x0: Tensor, x: Tensor) -> Tensor:
        rows = [visibility_from(a[None], self.metric)(b[None]).share_of(self.caps) for a, b in zip(x0, x, strict=True)]
        return torch.tensor(rows, device=x.device)

    def project(self, x: Tensor, x0: Tensor) -> Tensor:
        fitted = []
        for before, after in zip(x0, x, strict=True):
            measure = visibility_from(before[None], self.metric)
            share = functools.partial(self._share, measure, before[None], after[None])
            fitted.append((before + fit_scale(share) * (after - before)).clamp(0, 1))
        return torch.stack(fitted)

    def _share(self, measure: Callable[[Tensor], Visibility], before: Tensor, after: Tensor, scale: float) -> float:
        return measure(self.realise((before + scale * (after - before)).clamp(0, 1))).share_of(self.caps)


def delta_e_percentile(x0: Tensor, x: Tensor, *, percentile: float = 0.95) -> float:
    """A percentile of CIEDE2000 over the pixels of one picture, (1, 3, H, W)."""
    bands = [
        delta_e_2000(x0[..., top : top + _ROWS, :], x[..., top : top + _ROWS, :]).flatten()
        for top in range(0, x0.shape[-2], _ROWS)
    ]
    values = torch.cat(bands)
    rank = min(len(values), int(percentile * len(values)) + 1)
    return float(values.kthvalue(rank).values)


def fit_scale(share: Callable[[float], float], *, tolerance: float = 0.04, tries: int = 8) -> float:
    """The largest scale in [0, 1] found at which `share(scale)` is at most 1.

    Distances grow about as a power of the perturbation, so a secant in log-log space arrives in two to four
    evaluations; what is returned was evaluated and held.

    Args:
        share: used share of the budget at a scale, increasing.
        tolerance: stop when the share is within this of 1, from below.
        tries: evaluations at most; 0 is returned when none held.
    """
    above = top = (1.0, share(1.0))
    if top[1] <= 1:
        return 1.0
    held: tuple[float, float] | None = None
    guess = top[1] ** -_EXPONENT if math.isfinite(top[1]) else 0.5
    for _ in range(tries):
        value = share(guess)
        if value <= 1:
            held = (guess, value)
            if value > 1 - tolerance:
                break
        else:
            above = (guess, value)
        guess = _secant(held, above) if held else above[0] * (0.9 / above[1]) ** _exponent(above, top)
        guess = guess if 0 < guess < 1 else above[0] / 2  # nothing to go by: a share was not finite
    return held[0] if held else 0.0


def _secant(held: tuple[float, float], above: tuple[float, float]) -> float:
    """Where a power law through two points reaches 0.98, kept off both."""
    guess: float = held[0] * (0.98 / max(held[1], 1e-6)) ** _exponent(held, above)
    margin = 0.1 * (above[0] - held[0])
    return min(max(guess, held[0] + margin), above[0] - margin)


def _exponent(low: tuple[float, float], high: tuple[float, float]) -> float:
    """Of the power law that gives the scale for a share, from two (scale, share)."""
    growth = high[1] / max(low[1], 1e-6)
    return math.log(high[0] / low[0]) / math.log(growth) if 1 < growth < math.inf else _EXPONENT
