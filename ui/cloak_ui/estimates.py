"""How long one picture will take, from what a megapixel takes on this machine."""

from cloak.effort import EFFORTS
from cloak.types import Effort

__all__ = ["seconds_for"]

_ASPECT = 1.5  # of the picture that the rate was made for
_FULL_SIZE = 0.1  # share of the rate that fitting and writing each further megapixel cost, see eval/results/speed.json


def seconds_for(width: int, height: int, *, effort: Effort, rate: float) -> float:
    """Estimated seconds.

    Models look at a picture no larger than they are trained on, so that only a part of the time grows with its size.

    Args:
        width: pixels.
        height: pixels.
        effort: how much is computed.
        rate: seconds for a picture of one megapixel.
    """
    looked_at = min(1.0, width * height / (_ASPECT * EFFORTS[effort].side ** 2))
    return rate * (looked_at + _FULL_SIZE * max(0.0, width * height / 1e6 - 1))
