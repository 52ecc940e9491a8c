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
        radius: largest change that the optimiser may use where the picture hides it best, [0, 1] units.
        flat: largest change on perfectly flat colour, [0, 1] units.
    """

    caps: Visibility
    radius: float
    flat: float

    @property
    def floor(self) -> float:
        """Weight of flat colour in `masking_weights`."""
        return self.flat / self.radius


STRENGTHS: dict[Strength, StrengthLevel] = {
    "subtle": StrengthLevel(Visibility(lpips=0.0025, delta_e=3.5, linf=9 / 255), radius=6 / 255, flat=1.0 / 255),
    "balanced": StrengthLevel(Visibility(lpips=0.007, delta_e=5.5, linf=14 / 255), radius=10 / 255, flat=1.6 / 255),
    "strong": StrengthLevel(Visibility(lpips=0.018, delta_e=8.5, linf=22 / 255), radius=16 / 255, flat=2.6 / 255),
}
