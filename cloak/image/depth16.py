"""Sixteen bits for each sample: what Pillow reduces to eight is read in full.

Pillow unpacks 16-bit colour to the high byte of each sample. Told that the file has the other byte order, it unpacks
the low byte. Two passes of its own fast decoders therefore give every bit, for all compressions and interlacing it
knows. TIFF layouts that it does not know are left to tifffile.
"""

import io
import sys
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageFile

from cloak.errors import InputError
from cloak.image.document import Raster
from cloak.image.raster import split_alpha, turned, with_colour_key
from cloak.image.sources import FORMATS, LoadedFile, ReadLimits, check_size

__all__ = ["tiff_bits", "wide_png", "wide_tiff", "wide_tiff_only"]

SWAPPED = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
ASSOCIATED = 1  # ExtraSamples: colour is stored multiplied by alpha
PHOTOMETRIC = {0: 1, 1: 1, 2: 3, 5: 4}  # colour channels of white-is-zero, black-is-zero, RGB, separated


def tiff_bits(image: Image.Image) -> int:
    """Bits of the widest sample of an opened TIFF."""
    bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
    return max(bits) if isinstance(bits, tuple) else int(bits)


def wide_png(data: bytes) -> Raster:
    """Samples of a 16-bit PNG."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        assert isinstance(image, ImageFile.ImageFile)
        rawmode = str(image.tile[0].args) if image.tile else ""
        if rawmode == "LA;16B":  # four bytes for each pixel, which another raw mode hands over untouched
            image.tile = [tile._replace(args="RGBA") for tile in image.tile]
            raw = np.array(image)
            return split_alpha(raw.view(">u2").astype(np.uint16))
        key = image.info.get("transparency")
        raster = _two_passes(image, data)
    return with_colour_key(raster, key) if key is not None else raster


def _two_passes(image: Image.Image, data: bytes) -> Raster:
    if image.mode.startswith("I;16"):
        return Raster(np.asarray(image).astype(np.uint16)[..., None])
    wide = np.asarray(image).astype(np.uint16)
    wide <<= 8
    with Image.open(io.BytesIO(data), formats=FORMATS) as again:
        assert isinstance(again, ImageFile.ImageFile)
        again.tile = [tile._replace(args=_swapped(tile.args)) for tile in again.tile]
        wide |= np.asarray(again)
    return split_alpha(wide) if image.mode == "RGBA" else Raster(wide)


def _swapped(args: Any) -> Any:
    if isinstance(args, tuple):
        return (_swapped(args[0]), *args[1:])
    return args[:-3] + SWAPPED[args[-3:]]


def wide_tiff(image: Image.Image, data: bytes) -> Raster:
    """Samples of an opened 16-bit TIFF, turned to how they are displayed."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    associated = ASSOCIATED in np.atleast_1d(tags.get(338, ()))
    if image.mode.startswith("I;16"):
        raster = _two_passes(image, data)
        return Raster(np.invert(raster.samples)) if tags.get(262) == 0 else raster  # Pillow leaves white at zero
    if not associated and tags.get(284, 1) == 1:
        return _two_passes(image, data)
    orientation = tags.get(274, 1)
    return turned(_by_tifffile(data), orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1)


def wide_tiff_only(loaded: LoadedFile, limits: ReadLimits) -> tuple[Raster, bytes | None]:
    """Samples as stored and the colour profile of a TIFF that Pillow does not know.

    Raises:
        InputError: it is not a single page of 8 or 16 bits for each sample.
    """
    with tifffile.TiffFile(io.BytesIO(loaded.data)) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        check_size((page.imagewidth, page.imagelength), loaded.label, limits)
        if len(file.pages) > 1:
            raise InputError(f"{loaded.label} has several pages; export each page as a picture of its own.")
        profile = page.tags.valueof(34675)
    return _by_tifffile(loaded.data), profile if isinstance(profile, bytes) else None


def _by_tifffile(data: bytes) -> Raster:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        stored = page.asarray()
        if page.planarconfig == 2 and stored.ndim == 3:
            stored = np.moveaxis(stored, 0, -1)
        channels, extra = PHOTOMETRIC.get(int(page.photometric)), [int(kind) for kind in page.extrasamples]
        inverted = int(page.photometric) == 0
    stored = stored.reshape(*stored.shape[:2], -1)
    if stored.dtype not in (np.uint8, np.uint16) or channels is None or stored.shape[2] < channels:
        raise ValueError("an unusual TIFF layout; save it as 8-bit or 16-bit RGB")
    colour = np.ascontiguousarray(stored[..., :channels])
    colour = np.invert(colour) if inverted else colour
    if not extra or extra[0] == 0 or channels == 4:
        return Raster(colour)
    alpha = np.ascontiguousarray(stored[..., channels])
    return Raster(_unmultiplied(colour, alpha) if extra[0] == ASSOCIATED else colour, alpha)


def _unmultiplied(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    levels = np.iinfo(colour.dtype).max
    scale = levels / np.maximum(alpha, 1).astype(np.float32)[..., None]
    unmultiplied: NDArray[Any] = np.minimum(np.rint(colour * scale), levels).astype(colour.dtype)
    return unmultiplied
