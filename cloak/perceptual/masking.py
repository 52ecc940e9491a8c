"""Where a change hides: texture and edges mask it, flat colour and the surroundings of clean lines do not.

References:
    Legge & Foley 1980, "Contrast masking in human vision", JOSA 70(12); the saturating form of the weight follows it.
"""

from typing import NamedTuple

import torch
from kornia.color import rgb_to_grayscale
from kornia.filters import gaussian_blur2d, spatial_gradient
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Masking", "masking_weights"]

_WINDOW = 1.5  # pixels, standard deviation of the window that local contrast is taken in
_GRAIN = 1 / 255  # local contrast at which a place counts half as grainy; scanned paper has 2/255 and more
_HALF_SATURATION = 0.04  # local contrast, in [0, 1] units, at which half of the full weight is reached
_EDGE_LIMIT = 0.03  # contrast that a clean edge counts for at most: coloured fringes on outlines are seen
_NEIGHBOURHOOD = 9  # a place counts as texture only if everything this near, in pixels, is busy too


class Masking(NamedTuple):
    """How well each place hides a change; (B, 1, H, W) in [0, 1] each, 0 on perfectly flat colour.

    Args:
        grain: 1 where there is any fine structure at all: paper, canvas, film.
        texture: 1 where the structure is strong.
    """

    grain: Tensor
    texture: Tensor


def masking_weights(x: Tensor) -> Masking:
    """How well each place of a picture hides a change.

    Texture is the local standard deviation around a plane (a smooth gradient hides nothing), eroded: beside a clean
    line one half of the neighbourhood is flat, and the flat half counts. Edges count at the pixels of the edge only.

    Args:
        x: pictures, (B, 3, H, W) in [0, 1].
    """
    grey = rgb_to_grayscale(x)
    mean, mean_of_square = _blur(grey, _WINDOW), _blur(grey**2, _WINDOW)
    plane = _WINDOW**2 * spatial_gradient(mean, order=1).pow(2).sum(2)
    deviation = (mean_of_square - mean**2 - plane).clamp_min(0).sqrt()
    texture = -F.max_pool2d(-_pad(deviation, _NEIGHBOURHOOD // 2), _NEIGHBOURHOOD, stride=1)
    edge = 0.5 * spatial_gradient(_blur(grey, 0.7), order=1).pow(2).sum(2).sqrt()
    contrast = torch.maximum(_blur(texture, 2.0), edge.clamp(max=_EDGE_LIMIT))
    return Masking(_saturating(_blur(texture, 2.0), _GRAIN), _saturating(contrast, _HALF_SATURATION))


def _saturating(contrast: Tensor, half: float) -> Tensor:
    return contrast**2 / (contrast**2 + half**2)


def _blur(x: Tensor, sigma: float) -> Tensor:
    size = 2 * int(3 * sigma + 0.5) + 1
    if min(x.shape[-2:]) <= size // 2:  # reflection padding needs more pixels than this
        return x
    return gaussian_blur2d(x, (size, size), (sigma, sigma))


def _pad(x: Tensor, width: int) -> Tensor:
    return F.pad(x, (width, width, width, width), mode="replicate")
