"""Features of the denoiser's last layers move away from those of the original."""

from typing import Any

import torch
from torch import Tensor, nn

from cloak.objectives.base import OBJECTIVES
from cloak.objectives.through_denoiser import DenoiserObjective
from cloak.surrogates import Surrogate
from cloak.surrogates.denoising import NoiseDraw
from cloak.surrogates.recording import recorded_outputs

__all__ = ["FeatureInterference"]


@OBJECTIVES.register(
    "feature_interference",
    summary="features of the denoiser's last layers move away from the original's",
    reference="Wang et al. 2024 (SimAC), arXiv 2312.07865",
    licence="none",
    requires=DenoiserObjective.requires,
)
class FeatureInterference(DenoiserObjective):
    """Minus the squared distance of the last up block's features, relative to their size."""

    def __init__(self, surrogate: Surrogate, original: Tensor, **options: Any) -> None:
        super().__init__(surrogate, original, **options)
        with torch.no_grad():
            self._latent = surrogate.encode(original)

    def at(self, z: Tensor, draw: NoiseDraw) -> Tensor:
        features = self._features(z, draw)
        with torch.no_grad():
            before = self._features(self._latent.expand_as(z), draw)
        return -(features - before).pow(2).mean((1, 2, 3)) / before.pow(2).mean((1, 2, 3)).clamp_min(1e-8)

    def _features(self, z: Tensor, draw: NoiseDraw) -> Tensor:
        blocks: nn.ModuleList = self.surrogate.denoiser().up_blocks  # type: ignore[assignment]
        with recorded_outputs([blocks[-1]]) as outputs:
            self.predicted(z, draw)
        return outputs[0].float()
