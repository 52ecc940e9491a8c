"""The denoiser's output is pulled to the latent of another picture."""

from typing import Any

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES
from cloak.objectives.through_denoiser import DenoiserObjective
from cloak.surrogates import Surrogate
from cloak.surrogates.denoising import NoiseDraw

__all__ = ["ScoreTarget"]


@OBJECTIVES.register(
    "score_target",
    summary="the noise that the denoiser sees becomes a target's latent: fine-tuning learns one fixed error",
    reference="Zheng et al. 2025 (ACE, Mist v2), arXiv 2310.04687",
    licence="Apache-2.0, with further conditions",
    requires=DenoiserObjective.requires,
)
class ScoreTarget(DenoiserObjective):
    """||eps(z_t, t, c) - z_target||^2, mean over the latent."""

    needs_target = True

    def __init__(self, surrogate: Surrogate, original: Tensor, **options: Any) -> None:
        super().__init__(surrogate, original, **options)
        assert self.target is not None
        with torch.no_grad():
            self._goal = surrogate.encode(self.target.at(original.shape).to(original))

    def at(self, z: Tensor, draw: NoiseDraw) -> Tensor:
        return (self.predicted(z, draw) - self._goal).pow(2).mean((1, 2, 3))
