"""From a decoded 8-bit Pillow picture to stored samples: palettes, colour keys, orientation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cloak.image.document import Raster

__all__ = ["SUPPORTED_MODES", "expand", "split_alpha", "turned", "with_colour_key"]

SUPPORTED_MODES = frozenset(["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"])
CONVERTED = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}


def expand(image: Image.Image) -> Raster:
    """Samples of a picture in one of `SUPPORTED_MODES`; a palette of greys gives one channel."""
    image.load()
    if image.mode == "P":
        return _expand_palette(image)
    key = image.info.get("transparency")
    image = image.convert(CONVERTED[image.mode]) if image.mode in CONVERTED else image
    stored = np.asarray(image)
    if image.mode == "1":
        stored = stored.astype(np.uint8) * 255
    if image.mode in ("LA", "RGBA"):
        return split_alpha(stored)
    raster = Raster(stored.reshape(*stored.shape[:2], -1))
    return with_colour_key(raster, key) if key is not None else raster


def _expand_palette(image: Image.Image) -> Raster:
    transparent = "transparency" in image.info or (image.palette is not None and image.palette.mode == "RGBA")
    stored = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    raster = split_alpha(stored) if transparent else Raster(stored)
    colours = raster.samples
    if (colours[..., 0] == colours[..., 1]).all() and (colours[..., 0] == colours[..., 2]).all():
        return Raster(np.ascontiguousarray(colours[..., :1]), raster.alpha)
    return raster


def split_alpha(stored: NDArray[Any]) -> Raster:
    """Split (H, W, C + 1) samples into colour and alpha."""
    return Raster(np.ascontiguousarray(stored[..., :-1]), np.ascontiguousarray(stored[..., -1]))


def with_colour_key(raster: Raster, key: object) -> Raster:
    """Make one colour transparent, as PNG's tRNS chunk says; a key that does not fit the picture is passed over."""
    colour = np.atleast_1d(np.asarray(key if isinstance(key, (int, tuple)) else ()))
    if colour.shape != (raster.channels,):
        return raster
    hit = (raster.samples == colour).all(axis=2)
    return Raster(raster.samples, np.where(hit, 0, raster.levels).astype(raster.samples.dtype))


def turned(raster: Raster, orientation: int) -> Raster:
    """Turn stored samples to how they are displayed.

    Args:
        raster: as stored.
        orientation: EXIF orientation, 1 to 8.
    """
    if orientation == 1:
        return raster
    alpha = None if raster.alpha is None else _turned(raster.alpha, orientation)
    return Raster(_turned(raster.samples, orientation), alpha)


def _turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)
