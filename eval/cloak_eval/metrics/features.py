"""What style is made of, as numbers, without downloading anything: statistics of VGG features.

The backbone is the shift-tolerant VGG16 whose weights ship in the PyPI package `stlpips-pytorch`.
"""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.perceptual import style_statistics
from cloak.perceptual.backbones import Backbone, backbone_tensors

__all__ = ["FEATURES", "MEASURED_SIDE", "at_side", "backbone", "style_features"]

FEATURES = "means and deviations of shift-tolerant VGG16 features"
MEASURED_SIDE = 128  # pixels; mimics of the miniature draw so large, larger pictures are reduced to it
_CHUNK = 16


@functools.cache
def backbone() -> Backbone:
    """The shared network."""
    return Backbone("vgg", backbone_tensors("vgg"))


@torch.no_grad()
def style_features(pictures: Tensor, *, side: int = MEASURED_SIDE) -> Tensor:
    """Style descriptors of pictures, (N, D) float32 with D = 2944.

    Args:
        pictures: (N, 3, H, W) in [0, 1].
        side: larger pictures are reduced to it, since statistics depend on the size.

    References:
        Huang & Belongie 2017, arXiv 1703.06868, eq. 5-7 (the statistics); Gatys et al. 2015, arXiv 1508.06576 (that
        such statistics are style).
    """
    found = [
        torch.cat(style_statistics(backbone()(at_side(chunk, side))), 1) for chunk in torch.split(pictures, _CHUNK)
    ]
    return torch.cat(found) if found else torch.zeros(0, 2944)


def at_side(pictures: Tensor, side: int) -> Tensor:
    """Pictures (N, 3, H, W) whose short side is not larger than `side`."""
    height, width = pictures.shape[-2:]
    scale = side / min(height, width)
    if scale >= 1:
        return pictures
    size = (round(scale * height), round(scale * width))
    return F.interpolate(pictures, size=size, mode="bicubic", antialias=True).clamp(0, 1)
