"""Differentiable JPEG.

References:
    Reich et al. 2024, "Differentiable JPEG: The Devil is in the Details", arXiv 2309.06978 (kornia's implementation).
"""

import torch
from kornia.enhance import jpeg_codec_differentiable
from torch import Tensor
from torch.nn import functional as F

from cloak.transforms.base import TRANSFORMS, Parameters, Transform, uniform

__all__ = ["JPEG"]

_BLOCK = 16  # 4:2:0 chroma subsampling works on blocks of this many pixels


@TRANSFORMS.register("jpeg", summary="JPEG, quality 50 to 95", reference="Reich et al. 2024, arXiv 2309.06978")
class JPEG(Transform):
    """JPEG encoding and decoding with 4:2:0 chroma subsampling.

    Args:
        quality: range of the quality, 1 to 100.
    """

    def __init__(self, quality: tuple[float, float] = (50, 95)) -> None:
        self.quality = quality

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Parameters:  # noqa: ARG002
        return {"quality": uniform(*self.quality, generator)}

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % _BLOCK, 0, -height % _BLOCK), mode="replicate")
        quality = torch.tensor([parameters["quality"]], device=x.device)
        return jpeg_codec_differentiable(padded, quality)[..., :height, :width].clamp(0, 1)
