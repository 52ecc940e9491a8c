"""Colour differences that people would agree with.

References:
    Sharma, Wu & Dalal 2005, "The CIEDE2000 Color-Difference Formula", Color Res. Appl. 30(1), eq. 2-22.
    Ottosson 2020, "A perceptual color space for image processing" (OKLab).
"""

import math

import torch
from kornia.color import rgb_to_lab, rgb_to_linear_rgb
from torch import Tensor

__all__ = ["ciede2000", "delta_e_2000", "oklab"]

_OKLAB_LMS = torch.tensor(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB_LAB = torch.tensor(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(x: Tensor) -> Tensor:
    """SRGB picture (B, 3, H, W) in [0, 1] to OKLab, L in [0, 1]."""
    lms = torch.einsum("ij,bjhw->bihw", _OKLAB_LMS.to(x), rgb_to_linear_rgb(x))
    return torch.einsum("ij,bjhw->bihw", _OKLAB_LAB.to(x), lms.clamp_min(1e-9) ** (1 / 3))


def delta_e_2000(x: Tensor, y: Tensor) -> Tensor:
    """CIEDE2000 difference of two sRGB pictures, per pixel.

    Shape:
        - Input: (B, 3, H, W) in [0, 1], equal shapes.
        - Output: (B, H, W), 0 for equal colours; about 1 is just noticeable side by side.
    """
    return ciede2000(rgb_to_lab(x), rgb_to_lab(y))


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 of two pictures in CIELAB, (B, 3, H, W) to (B, H, W); symbols as in Sharma et al."""
    l1, a1, b1 = lab1.unbind(1)
    l2, a2, b2 = lab2.unbind(1)
    c_mean = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    g = 0.5 * (1 - (c_mean**7 / (c_mean**7 + 25.0**7)).sqrt())  # eq. 4
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = torch.atan2(b1, a1) % (2 * math.pi), torch.atan2(b2, a2) % (2 * math.pi)  # eq. 7
    dh = h2 - h1
    dh = torch.where(dh > math.pi, dh - 2 * math.pi, torch.where(dh < -math.pi, dh + 2 * math.pi, dh))  # eq. 10
    grey = (c1 * c2) < 1e-12
    dh = torch.where(grey, torch.zeros_like(dh), dh)
    big_dh = 2 * (c1 * c2).clamp_min(0).sqrt() * torch.sin(dh / 2)  # eq. 11
    h_mean = _mean_hue(h1, h2, grey)
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    s_l = 1 + 0.015 * (l_mean - 50) ** 2 / (20 + (l_mean - 50) ** 2).sqrt()  # eq. 16
    s_c, s_h = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * _hue_weight(h_mean)  # eq. 17, 18
    theta = math.radians(30) * torch.exp(-(((torch.rad2deg(h_mean) - 275) / 25) ** 2))  # eq. 13
    r_t = -torch.sin(2 * theta) * 2 * (c_mean**7 / (c_mean**7 + 25.0**7)).sqrt()  # eq. 14, 21
    l_term, c_term, h_term = (l2 - l1) / s_l, (c2 - c1) / s_c, big_dh / s_h
    return (l_term**2 + c_term**2 + h_term**2 + r_t * c_term * h_term).clamp_min(0).sqrt()  # eq. 22


def _mean_hue(h1: Tensor, h2: Tensor, grey: Tensor) -> Tensor:
    """Eq. 14 of Sharma et al.: the hue between two hues, on the shorter arc."""
    total, apart = h1 + h2, (h1 - h2).abs() > math.pi
    mean = torch.where(apart, torch.where(total < 2 * math.pi, total + 2 * math.pi, total - 2 * math.pi), total) / 2
    return torch.where(grey, total, mean)


def _hue_weight(h: Tensor) -> Tensor:
    """T of eq. 15."""
    return (
        1
        - 0.17 * torch.cos(h - math.radians(30))
        + 0.24 * torch.cos(2 * h)
        + 0.32 * torch.cos(3 * h + math.radians(6))
        - 0.20 * torch.cos(4 * h - math.radians(63))
    )
