"""The control: random noise of the same visibility. Any protection worth the name does better."""

from collections.abc import Sequence

from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.methods.base import METHODS, Loss, Method
from cloak.surrogates import Surrogate
from cloak.targets import Target
from cloak.transforms import Transform

__all__ = ["RandomNoise"]


@METHODS.register("noise", summary="control: random noise within the same visibility, no optimisation")
class RandomNoise(Method):
    """Uniform noise in the same weighted ball; the loop's random start, no steps."""

    def loss(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss | None:  # noqa: ARG002
        return None

    def transforms(self) -> Sequence[tuple[Transform, float]]:
        return []

    def optimiser(self, steps: int) -> PGDConfig:  # noqa: ARG002
        return PGDConfig(steps=0)
