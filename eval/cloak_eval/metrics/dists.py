"""How visible the cloak is when texture may be resampled: structure and texture of features.

References:
    Ding et al. 2020, "Image Quality Assessment: Unifying Structure and Texture Similarity" (DISTS), arXiv 2004.07728,
    eq. 3-6.
"""

import torch
from torch import Tensor

from cloak_eval.metrics.base import METRICS
from cloak_eval.metrics.features import at_side, backbone
from cloak_eval.metrics.visibility import PairMetric

__all__ = ["DISTS", "structure_and_texture"]

_SIDE = 256  # pixels, as the reference reduces pictures
_FLOOR = 1e-6  # the paper's c1 and c2


@METRICS.register(
    "dists-like",
    summary="visible distance of structure and texture, all channels weighted alike",
    reference="Ding et al. 2020, arXiv 2004.07728, without its learnt weights",
    higher_is_better=False,
    value_range=(0.0, 1.5),
)
class DISTS(PairMetric):
    """Values are not those of DISTS: another backbone (shift-tolerant VGG16), and uniform weights."""

    backbone = "st-lpips-vgg, uniform weights"

    def distance(self, x: Tensor, y: Tensor) -> float:
        return float(structure_and_texture(x, y))


@torch.no_grad()
def structure_and_texture(x: Tensor, y: Tensor) -> Tensor:
    """Distance of pictures (B, 3, H, W) in [0, 1]; (B,), 0 for equal ones.

    Means of feature maps stand for texture, their correlation for structure; the picture itself is the first map.
    """
    first, second = (at_side(each, _SIDE) for each in (x, y))
    texture, structure = [], []
    for a, b in zip([first, *backbone()(first)], [second, *backbone()(second)], strict=True):
        mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))  # (B, C)
        both = ((a - mean_a[..., None, None]) * (b - mean_b[..., None, None])).mean((2, 3))
        spread = a.var((2, 3), correction=0) + b.var((2, 3), correction=0)
        texture.append((2 * mean_a * mean_b + _FLOOR) / (mean_a**2 + mean_b**2 + _FLOOR))
        structure.append((2 * both + _FLOOR) / (spread + _FLOOR))
    return 1 - (torch.cat(texture, 1).mean(1) + torch.cat(structure, 1).mean(1)) / 2
