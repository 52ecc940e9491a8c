"""Parts of a change by spatial frequency, and what is left of it once colours are matched.

Widths are given for pictures of 256 px short side and scale with the picture, so that a figure means the same at any
size.
"""

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor
from torch.nn import functional as F

__all__ = ["low_frequency", "low_frequency_rms", "match_colours", "middle_band"]

_REFERENCE_SIDE = 256
_LOW_SIGMA = 3.0
_BAND_SIGMAS = (0.8, 5.0)


def low_frequency(change: Tensor, *, sigma: float = _LOW_SIGMA) -> Tensor:
    """Gaussian low-pass of a change, sigma in pixels at 256 px short side.

    Shape:
        - Input: (B, 3, H, W).
        - Output: (B, 3, h, w); wide blurs run on a reduced picture, which loses nothing that they keep.
    """
    width = sigma * min(change.shape[-2:]) / _REFERENCE_SIDE
    factor = int(width / 2)  # at least 2 px of blur remain after reduction
    if factor > 1:
        change = F.avg_pool2d(change, factor, ceil_mode=True, count_include_pad=False)
        width /= factor
    return _blur(change, width)


def middle_band(change: Tensor) -> Tensor:
    """Difference of Gaussians, sigma 0.8 minus 5 px at 256 px short side: texture, line and shading."""
    fine, coarse = (sigma * min(change.shape[-2:]) / _REFERENCE_SIDE for sigma in _BAND_SIGMAS)
    return _blur(change, fine) - _blur(change, coarse)


def low_frequency_rms(change: Tensor) -> Tensor:
    """Root mean square of the low-pass, (B,); the "seen shift" where `change` is that of decode(encode(x))."""
    return low_frequency(change).pow(2).mean((1, 2, 3)).sqrt()


def match_colours(x: Tensor, reference: Tensor) -> Tensor:
    """Give `x` the colour mean and covariance of `reference`: what an attacker who has the original could correct.

    The symmetric (Monge-Kantorovich) linear map between the two colour Gaussians.

    Shape:
        - Input: (B, 3, H, W), equal shapes.
        - Output: (B, 3, H, W), not clamped.

    References:
        Pitié & Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer",
        eq. 4.
    """
    source, goal = x.flatten(2), reference.flatten(2)
    mean, goal_mean = source.mean(2, keepdim=True), goal.mean(2, keepdim=True)
    root = _matrix_power(_covariance(source - mean), 0.5)
    inverse = _matrix_power(_covariance(source - mean), -0.5)
    middle = _matrix_power(root @ _covariance(goal - goal_mean) @ root, 0.5)
    mapped = inverse @ middle @ inverse @ (source - mean) + goal_mean
    return mapped.view_as(x)


def _covariance(centred: Tensor) -> Tensor:
    covariance = centred @ centred.transpose(1, 2) / centred.shape[2]
    spread = covariance.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    # A grey picture has no colour spread; without a floor the map would blow up what little a model adds to it.
    return covariance + (1e-3 * spread + 1e-6) * torch.eye(3, device=centred.device)


def _matrix_power(matrix: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    result: Tensor = vectors @ torch.diag_embed(values.clamp_min(1e-8) ** power) @ vectors.transpose(1, 2)
    return result


def _blur(x: Tensor, sigma: float) -> Tensor:
    size = min(2 * int(3 * sigma + 0.5) + 1, 2 * (min(x.shape[-2:]) // 2) - 1)
    return x if size < 3 else gaussian_blur2d(x, (size, size), (sigma, sigma))
