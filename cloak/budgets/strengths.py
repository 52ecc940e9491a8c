"""What `subtle`, `balanced` and `strong` mean; calibrated in docs/visibility.md."""

from dataclasses import dataclass

from torch import Tensor

from cloak.budgets.linf import Linf
from cloak.budgets.perceptual import Visibility
from cloak.perceptual import masking_weights
from cloak.types import Strength

__all__ = ["STRENGTHS", "StrengthLevel"]


@dataclass(frozen=True, slots=True)
class StrengthLevel:
    """One visibility level.

    Args:
        caps: hard limits on the written file.
        radius: largest change of a channel where texture hides it best, [0, 1] units.
        flat: largest change of a channel on perfectly flat colour.
        flat_luma: largest change of luma there.
    """

    caps: Visibility
    radius: float
    flat: float
    flat_luma: float

    def ball(self, x: Tensor, *, opacity: Tensor | None = None) -> Linf:
        """How far `x` (B, 3, H, W) may move: more where it is busy, not at all where opacity (B, 1, H, W) is 0."""
        return Linf(self.radius, weights=masking_weights(x), flat=self.flat, flat_luma=self.flat_luma, allowed=opacity)


def _level(caps: tuple[float, float, int], *, radius: float, flat: float, flat_luma: float) -> StrengthLevel:
    """A level from figures on the scale of 0 to 255; the caps are LPIPS, CIEDE2000 and the largest change."""
    lpips, delta_e, linf = caps
    visibility = Visibility(lpips=lpips, delta_e=delta_e, linf=linf / 255)
    return StrengthLevel(visibility, radius=radius / 255, flat=flat / 255, flat_luma=flat_luma / 255)


# The largest change is a safety net above what coarse JPEG coding alone does to sharp edges at quality 95.
STRENGTHS: dict[Strength, StrengthLevel] = {
    "subtle": _level((0.006, 3.0, 26), radius=2.0, flat=1.2, flat_luma=0.8),
    "balanced": _level((0.015, 5.0, 32), radius=3.0, flat=2.0, flat_luma=1.3),
    "strong": _level((0.035, 8.0, 40), radius=6.0, flat=3.0, flat_luma=2.2),
}
