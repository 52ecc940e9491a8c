"""What `instant`, `fast`, `standard` and `thorough` spend, and how long that takes here."""

from dataclasses import dataclass

from cloak.types import Effort

__all__ = ["EFFORTS", "EffortLevel"]


@dataclass(frozen=True, slots=True)
class EffortLevel:
    """One level of computing.

    Args:
        steps: optimiser steps.
        side: short side, pixels, at which models look at the whole picture; trainers use 512 to 1024.
        detail: share of steps spent on parts of the picture at full working size.
        battery: whether the certificate measures what remains after processing.
        thorough: whether it also measures at the picture's own size, and with the larger LPIPS backbone.
    """

    steps: int
    side: int
    detail: float
    battery: bool
    thorough: bool


EFFORTS: dict[Effort, EffortLevel] = {
    "instant": EffortLevel(steps=6, side=256, detail=0.0, battery=False, thorough=False),
    "fast": EffortLevel(steps=16, side=512, detail=0.0, battery=True, thorough=False),
    "standard": EffortLevel(steps=48, side=512, detail=0.1, battery=True, thorough=True),
    "thorough": EffortLevel(steps=160, side=512, detail=0.2, battery=True, thorough=True),
}
