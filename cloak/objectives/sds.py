"""The denoiser's error moves the latent directly, without a gradient through the denoiser."""

from typing import Any

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES
from cloak.objectives.through_denoiser import DenoiserObjective
from cloak.surrogates import Surrogate
from cloak.surrogates.denoising import NoiseDraw

__all__ = ["ScoreDistillation"]


@OBJECTIVES.register(
    "sds",
    summary="score distillation: the latent goes along the denoiser's error, at half the cost of `denoising`",
    reference="Xue et al. 2024 (Diff-Protect), arXiv 2311.12832; Poole et al. 2022, arXiv 2209.14988, eq. 3",
    licence="none",
    requires=DenoiserObjective.requires,
)
class ScoreDistillation(DenoiserObjective):
    """The value is ||eps(z_t, t, c) - noise||^2, or minus that; the gradient leaves out the denoiser's Jacobian.

    It is therefore not the gradient of the value, and the value need not fall.

    Args:
        surrogate, original, options: see `DenoiserObjective`.
        ascend: SDS(+), along the error; False is SDS(-), against it, which smooths what the model sees.
    """

    def __init__(self, surrogate: Surrogate, original: Tensor, *, ascend: bool = False, **options: Any) -> None:
        super().__init__(surrogate, original, **options)
        self.sign = -1.0 if ascend else 1.0

    def at(self, z: Tensor, draw: NoiseDraw) -> Tensor:
        with torch.no_grad():
            error = self.predicted(z, draw) - draw.noise
        along = (error * z).mean((1, 2, 3))
        return self.sign * (error.pow(2).mean((1, 2, 3)) + along - along.detach())
