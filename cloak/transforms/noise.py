"""Gaussian noise, as cleaners add before they denoise."""

import torch
from torch import Tensor

from cloak.transforms.base import TRANSFORMS, Parameters, Transform, uniform

__all__ = ["Noise"]


@TRANSFORMS.register(
    "noise", summary="Gaussian noise, sigma up to 0.05", reference="Hönig et al. 2024, arXiv 2406.12027"
)
class Noise(Transform):
    """Additive Gaussian noise.

    Args:
        sigma: range of the standard deviation, [0, 1] units.
    """

    def __init__(self, sigma: tuple[float, float] = (0.01, 0.05)) -> None:
        self.sigma = sigma

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Parameters:
        return {"noise": uniform(*self.sigma, generator) * torch.randn(shape, generator=generator)}

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        noise: Tensor = parameters["noise"]
        return (x + noise.to(x)).clamp(0, 1)
