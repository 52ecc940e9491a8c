"""Down and up again, with different kernels: what an upload or a data loader does."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.transforms.base import TRANSFORMS, Parameters, Transform, uniform

__all__ = ["Resize"]


@TRANSFORMS.register("resize", summary="down to 0.45-0.9 of the size (antialiased) and back up")
class Resize(Transform):
    """Antialiased downscale and upscale back to the same size.

    Args:
        scale: range of the intermediate size, as a share of the original.
    """

    def __init__(self, scale: tuple[float, float] = (0.45, 0.9)) -> None:
        self.scale = scale

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Parameters:
        scale = uniform(*self.scale, generator)
        mode = "bicubic" if uniform(0, 1, generator) < 0.5 else "bilinear"
        return {"size": tuple(max(8, round(scale * side)) for side in shape[-2:]), "mode": mode}

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        small = F.interpolate(x, size=parameters["size"], mode=parameters["mode"], antialias=True)
        return F.interpolate(small, size=x.shape[-2:], mode=parameters["mode"]).clamp(0, 1)
