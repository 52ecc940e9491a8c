"""How far a picture may move."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

__all__ = ["Budget", "Realise"]

Realise = Callable[[Tensor], Tensor]
"""What becomes of a picture when it is stored: rounding, or encoding and decoding."""


class Budget(ABC):
    """A limit on visibility. Distances are shares of the limit: 1 is the limit itself."""

    @abstractmethod
    def distance(self, x0: Tensor, x: Tensor) -> Tensor:
        """Share of the budget that `x` uses up, (B,); at most 1 is within it.

        Shape:
            - Input: (B, 3, H, W) in [0, 1].
        """

    @abstractmethod
    def project(self, x: Tensor, x0: Tensor) -> Tensor:
        """The nearest picture to `x`, in the direction of `x0`, that is within the budget and in [0, 1]."""
