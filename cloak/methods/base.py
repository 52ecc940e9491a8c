"""A recipe: which loss for which kind of model, through which transforms, with which optimiser."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.registry import Registry
from cloak.surrogates import Surrogate
from cloak.targets import Target
from cloak.transforms import Transform

__all__ = ["METHODS", "Loss", "Method", "Published"]

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Published:
    """What a paper (or its released code, where the paper is silent) says, on a scale of 0 to 255.

    Args:
        linf: bound on each channel.
        steps: of the optimiser.
        step: length of one, on the same scale.
        parts: the loss in a few words, with the parts used here.
        note: on the bound, where it is not one of L-infinity.
    """

    linf: float
    steps: int
    step: float
    parts: str
    note: str = ""


class Method(ABC):
    """What a published protection, or ours, comes down to.

    Args:
        seed: of `generator`, the source of all chance within the loss.
        style: name of the picture's own style, for methods that use words; None to find it.
    """

    needs_target: ClassVar[bool] = False
    batches: ClassVar[bool] = False  # whether its losses are `Inquiring`, with no other chance than the attack's
    published: ClassVar[Published | None] = None

    def __init__(self, *, seed: int = 0, style: str | None = None) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.style = style

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
