"""What `subtle`, `balanced` and `strong` mean; calibrated in docs/visibility.md."""

from dataclasses import dataclass

from cloak.budgets.perceptual import Visibility
from cloak.types import Strength

__all__ = ["STRENGTHS", "StrengthLevel"]


@dataclass(frozen=True, slots=True)
class StrengthLevel:
    """One visibility level.

    Args:
        caps: hard limits on the written file.
        radius: largest change that the optimiser begins with where the picture hides it best, [0, 1] units.
        reach: largest radius that it may widen to while the caps leave room.
        flat: largest change on perfectly flat colour, [0, 1] units; less than one level of 8 bits, it is dithered.
    """

    caps: Visibility
    radius: float
    reach: float
    flat: float


def _level(lpips: float, delta_e: float, linf: int, radii: tuple[float, float], flat: float) -> StrengthLevel:
    """A level from figures on the scale of 0 to 255."""
    radius, reach = radii
    caps = Visibility(lpips=lpips, delta_e=delta_e, linf=linf / 255)
    return StrengthLevel(caps, radius=radius / 255, reach=reach / 255, flat=flat / 255)


# The largest change is a safety net above what coarse JPEG coding alone does to sharp edges at quality 95.
STRENGTHS: dict[Strength, StrengthLevel] = {
    "subtle": _level(0.004, 5.0, 26, (6, 8), 0.25),
    "balanced": _level(0.012, 8.0, 32, (10, 13), 0.4),
    "strong": _level(0.030, 11.0, 40, (15, 21), 0.9),
}
