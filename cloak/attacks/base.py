"""The optimiser loop and its promise."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

from torch import Tensor

from cloak.budgets import Budget, round_to_8_bits
from cloak.types import check_picture

__all__ = ["Attack", "AttackStep", "Loss"]

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class AttackStep:
    """State after one step; `x` is the best picture so far, not yet rounded."""

    index: int
    total: int
    loss: float
    distance: float
    x: Tensor


class Attack(ABC):
    """Finds a picture near `x0` with a low loss, within a budget.

    Args:
        budget: how far the picture may move; `Linf` for the loop, anything for the promise.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    @abstractmethod
    def steps(self, x0: Tensor, loss: Loss) -> Iterator[AttackStep]:
        """Optimise; one item for each step, so that a caller can watch, stop early and keep the best so far."""

    @final
    def __call__(self, x0: Tensor, loss: Loss) -> Tensor:
        """Run to the end and return the 8-bit picture that is within the budget.

        Shape:
            - Input: (B, 3, H, W) in [0, 1]; `loss` maps that to (B,).
            - Output: the same, in multiples of 1/255.

        Raises:
            ValueError: `x0` is no picture.
        """
        check_picture(x0, name="x0")
        x = x0
        for step in self.steps(x0, loss):
            x = step.x
        return self.finish(x0, x)

    @final
    def finish(self, x0: Tensor, x: Tensor) -> Tensor:
        """Project, round to 8 bits and make sure that the rounded picture is within the budget as well."""
        rounded = round_to_8_bits(self.budget.project(x, x0))
        if float(self.budget.distance(x0, rounded).max()) <= 1:
            return rounded
        inward = self.budget.project(x, x0)
        for _ in range(6):  # rounding to the nearest can add half a level
            rounded = _round_towards(inward, x0)
            if float(self.budget.distance(x0, rounded).max()) <= 1:
                return rounded
            inward = (inward + x0) / 2
        return round_to_8_bits(x0)


def _round_towards(x: Tensor, x0: Tensor) -> Tensor:
    """Round to 8 bits, each value in the direction of `x0`."""
    levels = x * 255
    return ((levels.floor().where(x > x0, levels.ceil())) / 255).clamp(0, 1)
