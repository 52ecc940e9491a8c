"""What is known about one picture after reading it: its stored samples and everything that travels with them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cloak.image.colour import ColourSpace
from cloak.image.metadata import Metadata
from cloak.types import FormatChoice

__all__ = ["JpegCoding", "PictureDocument", "Raster", "quantise", "row_strips"]

STRIP_PIXELS = 1 << 18  # colour conversion works on strips of about this many pixels, to bound its temporary memory


def row_strips(height: int, width: int) -> Iterator[slice]:
    """Yield consecutive row ranges that together cover a picture, each of about 2^18 pixels."""
    rows = max(1, STRIP_PIXELS // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(height, top + rows))


def quantise(pixels: Tensor, bit_depth: int) -> Tensor:
    """Round to the grid a file of that depth can hold.

    Args:
        pixels: any shape, floating point; values outside [0, 1] are clipped.
        bit_depth: 8 or 16 bits for each sample.

    Returns:
        Same shape and type, multiples of 1 / (2^bit_depth - 1).

    Example:
        >>> quantise(torch.tensor([0.0, 0.5, 1.2]), 8) * 255
        tensor([  0., 128., 255.])
    """
    if bit_depth not in (8, 16):
        raise ValueError(f"bit_depth must be 8 or 16, got {bit_depth}")
    # A tensor divisor gives a true division on every device; dividing by a number multiplies by 1/n on CUDA.
    levels = torch.tensor(float((1 << bit_depth) - 1), device=pixels.device, dtype=pixels.dtype)
    return (pixels.clamp(0, 1) * levels).round() / levels


@dataclass(frozen=True)
class Raster:
    """Integer samples as displayed (orientation applied, palette expanded), in the picture's own colour space.

    Args:
        samples: (H, W, C) uint8 or uint16; C is 1 grey, 3 RGB, 4 CMYK (0 is no ink).
        alpha: (H, W) of the same type, 0 is transparent; None when the picture has none.
    """

    samples: NDArray[Any]
    alpha: NDArray[Any] | None = None

    @property
    def bit_depth(self) -> int:
        return 8 * self.samples.dtype.itemsize

    @property
    def levels(self) -> int:
        """The largest sample value, 255 or 65535."""
        return (1 << self.bit_depth) - 1

    @property
    def channels(self) -> int:
        return int(self.samples.shape[2])

    @property
    def size(self) -> tuple[int, int]:
        return int(self.samples.shape[1]), int(self.samples.shape[0])

    def fractions(self, rows: slice) -> NDArray[np.float32]:
        """Samples of some rows in [0, 1], shape (pixels, C)."""
        strip = self.samples[rows].astype(np.float32)
        strip /= np.float32(self.levels)
        return strip.reshape(-1, self.channels)


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG was coded.

    Args:
        quality: estimated IJG quality, 1 to 100.
        subsampling: "4:4:4", "4:2:2", "4:2:0", or None when it is grey or unusual.
        tables: quantisation tables as Pillow gives and takes them.
        progressive: whether it was coded in several scans.
    """

    quality: int
    subsampling: str | None
    tables: dict[int, list[int]] = field(repr=False)
    progressive: bool = False


@dataclass(frozen=True, kw_only=True)
class PictureDocument:
    """One picture: pixels for the work, and all that is needed to write it back as it was.

    Args:
        name: file name or what the caller called it.
        format: "png", "jpeg", "webp", "tiff", "avif" or "bmp".
        mode: Pillow's mode of the stored picture, e.g. "RGB", "LA", "P", "CMYK", "I;16".
        sha256: of the bytes that were read, in hexadecimal.
        raster: stored samples and alpha.
        colour: the way between the stored colours and sRGB.
        metadata: what the file carried beside the picture.
        lossless: whether the file held its samples without loss (False for JPEG, AVIF and lossy WebP).
        jpeg: coding of a JPEG, else None.
        manifest: whether the file held a C2PA manifest, which is never carried into another file.
    """

    name: str
    format: str
    mode: str
    sha256: str
    raster: Raster = field(repr=False)
    colour: ColourSpace = field(repr=False)
    metadata: Metadata = field(repr=False)
    lossless: bool
    jpeg: JpegCoding | None = None
    manifest: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as displayed."""
        return self.raster.size

    @property
    def bit_depth(self) -> int:
        return self.raster.bit_depth

    @property
    def is_grey(self) -> bool:
        """Whether all three channels of a perturbation must be equal."""
        return self.raster.channels == 1

    @property
    def jpeg_quality(self) -> int | None:
        return self.jpeg.quality if self.jpeg else None

    @property
    def jpeg_subsampling(self) -> str | None:
        return self.jpeg.subsampling if self.jpeg else None

    @cached_property
    def pixels(self) -> Tensor:
        """(1, 3, H, W) float32 sRGB in [0, 1], made on first use; colours under transparency are as stored."""
        return srgb_pixels(self.raster, self.colour)

    @cached_property
    def alpha(self) -> Tensor | None:
        """(1, 1, H, W) float32 in [0, 1]; None when the picture has no alpha."""
        if self.raster.alpha is None:
            return None
        fractions = self.raster.alpha.astype(np.float32) / np.float32(self.raster.levels)
        return torch.from_numpy(fractions)[None, None]

    @cached_property
    def protectable(self) -> Tensor:
        """(1, 1, H, W) bool, False where the picture is fully transparent."""
        width, height = self.size
        if self.raster.alpha is None:
            return torch.ones(1, 1, height, width, dtype=torch.bool)
        return torch.from_numpy(self.raster.alpha > 0)[None, None]

    def output_format(self, choice: FormatChoice) -> str:
        """The format a choice comes to; "keep" is the picture's own."""
        return self.format if choice == "keep" else choice


def srgb_pixels(raster: Raster, colour: ColourSpace) -> Tensor:
    """Convert stored samples to (1, 3, H, W) float32 sRGB in [0, 1], strip by strip."""
    width, height = raster.size
    planes = np.empty((3, height, width), np.float32)
    for rows in row_strips(height, width):
        srgb = colour.to_srgb(raster.fractions(rows))  # (pixels, 3)
        planes[:, rows] = srgb.T.reshape(3, -1, width)
    return torch.from_numpy(planes)[None]
