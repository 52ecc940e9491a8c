"""A recipe: which loss for which kind of model, through which transforms, with which optimiser."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.registry import Registry
from cloak.surrogates import Surrogate
from cloak.targets import Target
from cloak.transforms import Transform

__all__ = ["METHODS", "Loss", "Method"]

Loss = Callable[[Tensor], Tensor]


class Method(ABC):
    """What a published protection, or ours, comes down to."""

    needs_target: ClassVar[bool] = False

    @abstractmethod
    def loss(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss | None:
        """The loss for one model and one original (1, 3, H, W); None when the model has nothing to offer the recipe."""

    @abstractmethod
    def transforms(self) -> Sequence[tuple[Transform, float]]:
        """What the loss is looked at through, with probabilities that sum to 1."""

    @abstractmethod
    def optimiser(self, steps: int) -> PGDConfig:
        """Settings of the loop for so many steps."""


METHODS: Registry[type[Method]] = Registry("method", "cloak.methods")
