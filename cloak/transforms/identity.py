"""Nothing is done."""

import torch
from torch import Tensor

from cloak.transforms.base import TRANSFORMS, Parameters, Transform

__all__ = ["Identity"]


@TRANSFORMS.register("identity", summary="nothing is done")
class Identity(Transform):
    """The picture as it is."""

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Parameters:  # noqa: ARG002
        return {}

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:  # noqa: ARG002
        return x
