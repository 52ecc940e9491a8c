"""Features at every level of the encoder move to the target's."""

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["MultiLayer"]


@OBJECTIVES.register(
    "multi_layer",
    summary="features at every level of the encoder move to the target's",
    reference="Ahn et al. 2025 (FastProtect), arXiv 2412.11423, multi-layer loss",
    licence="no code released",
    requires=frozenset({"encode"}),
)
class MultiLayer(Objective):
    """Mean over encoder levels of the squared feature distance to the target, each relative to where it began."""

    needs_target = True

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        super().__init__(surrogate, original, target=target)
        assert self.target is not None
        with torch.no_grad():
            self._goals = surrogate.features(self.target.at(original.shape).to(original))
            self._starts = self._distances(original)

    def _distances(self, x: Tensor) -> Tensor:
        pairs = zip(self.surrogate.features(x), self._goals, strict=True)
        return torch.stack([(a - b).float().pow(2).mean((1, 2, 3)) for a, b in pairs])  # (levels, B)

    def __call__(self, x: Tensor) -> Tensor:
        return (self._distances(x) / self._starts.clamp_min(1e-8)).mean(0)
