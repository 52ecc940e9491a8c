"""Lossy files through Pillow, and what sites make of an upload."""

import io
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure

__all__ = ["as_image", "as_tensor", "coded"]


def as_image(picture: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1] as an 8-bit picture."""
    samples = (picture[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(np.ascontiguousarray(samples))


def as_tensor(image: Image.Image) -> Tensor:
    """An 8-bit picture as (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


def coded(image: Image.Image, kind: str, quality: int) -> Image.Image:
    """Written as JPEG (4:2:0) or WebP and read back."""
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


class _Coded(Countermeasure):
    kind: ClassVar[str] = "JPEG"
    quality: ClassVar[int]

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return as_tensor(coded(as_image(picture), self.kind, self.quality))


@COUNTERMEASURES.register("jpeg-75", summary="JPEG, quality 75, 4:2:0")
class JPEG75(_Coded):
    """What most of the web does."""

    quality = 75


@COUNTERMEASURES.register("jpeg-50", summary="JPEG, quality 50, 4:2:0")
class JPEG50(_Coded):
    """Visible blocks."""

    quality = 50


@COUNTERMEASURES.register("webp-75", summary="lossy WebP, quality 75")
class WebP75(_Coded):
    """Half-size chroma as well."""

    kind, quality = "WEBP", 75


class _Platform(Countermeasure):
    """Reduced to a longest side, then coded again; metadata is lost."""

    longest: ClassVar[int]
    quality: ClassVar[int]

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        image = as_image(picture)
        image.thumbnail((self.longest, self.longest), Image.Resampling.LANCZOS)
        return as_tensor(coded(image, "JPEG", self.quality))


@COUNTERMEASURES.register(
    "instagram", summary="longest side 1080 px, JPEG about 75", reference="estimate; the platform publishes no settings"
)
class Instagram(_Platform):
    """Sizes as the platform's help states them, the quality is an estimate."""

    longest, quality = 1080, 75


@COUNTERMEASURES.register(
    "x", summary="longest side 4096 px, JPEG about 85", reference="estimate; the platform publishes no settings"
)
class X(_Platform):
    """As seen in the large variant."""

    longest, quality = 4096, 85


@COUNTERMEASURES.register(
    "artstation",
    summary="longest side 1920 px, JPEG about 90",
    reference="estimate; the platform publishes no settings",
)
class ArtStation(_Platform):
    """As seen in the large variant."""

    longest, quality = 1920, 90


@COUNTERMEASURES.register(
    "deviantart",
    summary="longest side 1280 px, JPEG about 80",
    reference="estimate; the platform publishes no settings",
)
class DeviantArt(_Platform):
    """As seen in the preview that visitors can save."""

    longest, quality = 1280, 80
