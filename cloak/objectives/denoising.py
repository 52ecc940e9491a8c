"""The denoiser does badly on the picture."""

from torch import Tensor

from cloak.objectives.base import OBJECTIVES
from cloak.objectives.through_denoiser import DenoiserObjective
from cloak.surrogates.denoising import NoiseDraw

__all__ = ["Denoising"]


@OBJECTIVES.register(
    "denoising",
    summary="the denoiser's error on the picture grows",
    reference="Liang et al. 2023 (AdvDM), arXiv 2302.04578",
    licence="none",
    requires=DenoiserObjective.requires,
)
class Denoising(DenoiserObjective):
    """-||eps(z_t, t, c) - noise||^2, mean over the latent."""

    def at(self, z: Tensor, draw: NoiseDraw) -> Tensor:
        return -(self.predicted(z, draw) - draw.noise).pow(2).mean((1, 2, 3))
