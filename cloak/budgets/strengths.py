"""What `subtle`, `balanced` and `strong` mean; calibrated in docs/visibility.md."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cloak.budgets.linf import Linf
from cloak.budgets.perceptual import Visibility
from cloak.perceptual import masking_weights
from cloak.types import Strength

__all__ = ["STRENGTHS", "Bound", "StrengthLevel", "uniform_level"]


@dataclass(frozen=True, slots=True)
class Bound:
    """Largest change of a channel, and of luma, in one kind of place; [0, 1] units."""

    channel: float
    luma: float


@dataclass(frozen=True, slots=True)
class StrengthLevel:
    """One visibility level.

    Args:
        caps: hard limits on the written file.
        flat: bound on perfectly flat colour.
        grain: bound in paper grain, film grain and the like.
        texture: bound where strong texture hides a change best.
    """

    caps: Visibility
    flat: Bound
    grain: Bound
    texture: Bound

    def ball(self, x: Tensor, *, opacity: Tensor | None = None) -> Linf:
        """How far `x` (B, 3, H, W) may move: more where it is busy, not at all where opacity (B, 1, H, W) is 0."""
        grain, texture = masking_weights(x)
        allowed = torch.ones(1, 1, 1, 1) if opacity is None else opacity
        bounds = [
            allowed * (flat + (grained - flat) * grain + (textured - grained) * texture)
            for flat, grained, textured in (
                (self.flat.channel, self.grain.channel, self.texture.channel),
                (self.flat.luma, self.grain.luma, self.texture.luma),
            )
        ]
        return Linf(bounds[0], luma=bounds[1])


def _level(
    caps: tuple[float, float, float], *, flat: tuple[float, float], grain: tuple[float, float], texture: float
) -> StrengthLevel:
    """A level from figures on the scale of 0 to 255; the caps are LPIPS, CIEDE2000 and the largest change."""
    lpips, delta_e, linf = caps
    bounds = [Bound(channel / 255, luma / 255) for channel, luma in (flat, grain, (texture, texture))]
    return StrengthLevel(Visibility(lpips=lpips, delta_e=delta_e, linf=linf / 255), *bounds)


def uniform_level(linf: float) -> StrengthLevel:
    """The same bound everywhere, as published methods have it: largest change of a channel on the scale of 0 to 255."""
    return _level((1.0, 100.0, linf), flat=(linf, linf), grain=(linf, linf), texture=linf)


# The largest change is a safety net above what coarse JPEG coding alone does to sharp edges at quality 95.
STRENGTHS: dict[Strength, StrengthLevel] = {
    "subtle": _level((0.006, 3.0, 26), flat=(1.0, 0.25), grain=(1.4, 0.9), texture=3.0),
    "balanced": _level((0.015, 5.0, 32), flat=(1.5, 0.3), grain=(2.0, 1.3), texture=5.0),
    "strong": _level((0.035, 8.0, 40), flat=(2.5, 0.8), grain=(4.0, 2.6), texture=10.0),
}
