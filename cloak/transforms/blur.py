"""Gaussian blur."""

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from cloak.transforms.base import TRANSFORMS, Parameters, Transform, uniform

__all__ = ["Blur"]


@TRANSFORMS.register("blur", summary="Gaussian blur, sigma 0.5 to 1.3 px")
class Blur(Transform):
    """Gaussian blur.

    Args:
        sigma: range of the standard deviation, pixels.
    """

    def __init__(self, sigma: tuple[float, float] = (0.5, 1.3)) -> None:
        self.sigma = sigma

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Parameters:  # noqa: ARG002
        return {"sigma": uniform(*self.sigma, generator)}

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        sigma = parameters["sigma"]
        size = min(2 * int(3 * sigma + 0.5) + 1, 2 * (min(x.shape[-2:]) // 2) - 1)
        return x if size < 3 else gaussian_blur2d(x, (size, size), (sigma, sigma)).clamp(0, 1)
