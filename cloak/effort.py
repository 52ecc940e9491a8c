"""What `instant`, `fast`, `standard` and `thorough` spend, and how long that takes here."""

from dataclasses import dataclass

from cloak.types import Battery, Effort

__all__ = ["EFFORTS", "EffortLevel"]


@dataclass(frozen=True, slots=True)
class EffortLevel:
    """One level of computing.

    Args:
        steps: optimiser steps.
        side: short side, pixels, at which models look at the whole picture; trainers use 512 to 1024.
        detail: share of steps spent on parts of the picture at full working size.
        battery: how much the certificate measures of what remains after processing.
        thorough: whether it also measures at the picture's own size, and with the larger LPIPS backbone.
    """

    steps: int
    side: int
    detail: float
    battery: Battery
    thorough: bool


EFFORTS: dict[Effort, EffortLevel] = {
    "instant": EffortLevel(steps=6, side=256, detail=0.0, battery="none", thorough=False),
    "fast": EffortLevel(steps=6, side=512, detail=0.0, battery="short", thorough=False),
    "standard": EffortLevel(steps=36, side=512, detail=0.0, battery="full", thorough=False),
    "thorough": EffortLevel(steps=160, side=512, detail=0.2, battery="full", thorough=True),
}
