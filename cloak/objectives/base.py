"""One loss per picture; lower means better protected."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from cloak.errors import UsageError
from cloak.registry import Registry
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["OBJECTIVES", "Objective"]


class Objective(ABC):
    """A loss about one picture and one model.

    All that depends on the original or the target alone is computed here, once, never per step.

    Args:
        surrogate: the model that the loss looks through.
        original: the untouched picture, (B, 3, H, W) in [0, 1].
        target: style to push towards; None only where `needs_target` is false.

    Raises:
        UsageError: the surrogate lacks a capability, or the target is missing.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"encode"})
    needs_target: ClassVar[bool] = False

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        missing = self.requires - surrogate.capabilities
        if missing:
            raise UsageError(
                f"{type(self).__name__} needs {', '.join(sorted(missing))}, which {surrogate.name} cannot do."
            )
        if self.needs_target and target is None:
            raise UsageError(f"{type(self).__name__} needs a target style.")
        self.surrogate, self.original, self.target = surrogate, original, target

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Loss of each picture, (B,), for (B, 3, H, W) in [0, 1] of the original's shape."""


OBJECTIVES: Registry[type[Objective]] = Registry("objective", "cloak.objectives")
