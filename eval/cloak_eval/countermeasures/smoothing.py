"""Classical image processing: resizing, cropping, blur, noise, edge-preserving filters, total variation."""

from typing import Any, ClassVar

import torch
from kornia.filters import bilateral_blur, gaussian_blur2d, guided_blur, joint_bilateral_blur
from torch import Tensor
from torch.nn import functional as F

from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure

__all__ = ["AdverseCleaner", "Blur", "CropResize", "HalfSize", "Noise005", "Noise010", "NonLocal", "TotalVariation"]


def _scaled(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(picture, size=size, mode="bicubic", antialias=True).clamp(0, 1)


@COUNTERMEASURES.register("half-size", summary="reduced to half its size and enlarged again")
class HalfSize(Countermeasure):
    """Bicubic, antialiased."""

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        height, width = picture.shape[-2:]
        return _scaled(_scaled(picture, (max(8, height // 2), max(8, width // 2))), (height, width))


@COUNTERMEASURES.register("crop-resize", summary="a random eighth of each side cut off, enlarged to the old size")
class CropResize(Countermeasure):
    """Shifts the grid of latent pixels."""

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        height, width = picture.shape[-2:]
        offsets = [int(torch.randint(length // 8 + 1, (), generator=generator)) for length in (height, width)]
        top, left = offsets
        part = picture[..., top : top + height - height // 8, left : left + width - width // 8]
        return _scaled(part, (height, width))


@COUNTERMEASURES.register("blur", summary="Gaussian blur, sigma 1 px")
class Blur(Countermeasure):
    """Removes the finest part of a cloak."""

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return gaussian_blur2d(picture, (7, 7), (1.0, 1.0))


class _Noise(Countermeasure):
    sigma: ClassVar[float]

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return picture + self.sigma * torch.randn(picture.shape, generator=generator)


@COUNTERMEASURES.register(
    "noise-0.05", summary="Gaussian noise, sigma 0.05", reference="Hönig et al. 2024, arXiv 2406.12027"
)
class Noise005(_Noise):
    """The weaker setting of the robust mimicry paper."""

    sigma = 0.05


@COUNTERMEASURES.register(
    "noise-0.1", summary="Gaussian noise, sigma 0.1", reference="Hönig et al. 2024, arXiv 2406.12027"
)
class Noise010(_Noise):
    """What its noisy upscaling starts with."""

    sigma = 0.1


@COUNTERMEASURES.register(
    "adverse-cleaner",
    summary="64 times a bilateral, then 4 times a guided filter",
    reference="lllyasviel, AdverseCleaner, 2023",
    licence="Apache-2.0",
)
class AdverseCleaner(Countermeasure):
    """Window 5, widths 8 in colour (of 255) and 8 px in space; then window 9, regularised by 16 (of 255²)."""

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        smooth = picture
        for _ in range(64):
            smooth = bilateral_blur(smooth, 5, 8 / 255, (8.0, 8.0))
        result = picture
        for _ in range(4):
            result = guided_blur(smooth, result, 9, 16 / 255**2)
        return result


@COUNTERMEASURES.register(
    "non-local",
    summary="mean over a 13 px neighbourhood weighted by likeness of blurred patches",
    reference="after Buades et al. 2005",
)
class NonLocal(Countermeasure):
    """Joint bilateral filter with a smoothed guide: non-local means that compares mean colours of patches."""

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        guide = gaussian_blur2d(picture, (5, 5), (1.0, 1.0))
        return joint_bilateral_blur(picture, guide, 13, 0.04, (6.0, 6.0))


@COUNTERMEASURES.register(
    "total-variation",
    summary="total variation denoising, weight 0.04",
    reference="Rudin, Osher & Fatemi 1992; Chambolle 2004",
)
class TotalVariation(Countermeasure):
    """Chambolle's projection, 60 steps, channels apart."""

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        weight, step = 0.04, 0.24
        dual = torch.zeros(2, *picture.shape)
        for _ in range(60):
            slope = _gradient(_divergence(dual) - picture / weight)
            dual = (dual + step * slope) / (1 + step * slope.pow(2).sum(0).sqrt())
        return picture - weight * _divergence(dual)


def _gradient(x: Tensor) -> Tensor:
    down = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    right = F.pad(x[..., :, 1:] - x[..., :, :-1], (0, 1, 0, 0))
    return torch.stack([down, right])


def _divergence(p: Tensor) -> Tensor:
    """Negative adjoint of `_gradient`."""
    down, right = p[0][..., :-1, :], p[1][..., :, :-1]
    return (
        F.pad(down, (0, 0, 0, 1)) - F.pad(down, (0, 0, 1, 0)) + F.pad(right, (0, 1, 0, 0)) - F.pad(right, (1, 0, 0, 0))
    )
