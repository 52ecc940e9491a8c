"""Which colour space a picture is in, from its embedded profile."""

import numpy as np

from cloak.image.colour import ColourSpace, MatrixColour, StandardColour
from cloak.image.colour_table import measured_table, plain_cmyk_table
from cloak.image.icc import parse_matrix_profile

__all__ = ["colour_space_of"]

NEARLY_SRGB = 1 / 255  # a profile that never differs from sRGB by more than this is sRGB


def colour_space_of(icc: bytes | None, channels: int) -> ColourSpace:
    """The colour space of a picture; a profile that is broken or for another kind of picture is passed over.

    Args:
        icc: the embedded profile, None when there is none.
        channels: 1 grey, 3 RGB, 4 CMYK.
    """
    space: ColourSpace | None = None
    if icc is not None:
        profile = parse_matrix_profile(icc, channels)
        space = MatrixColour(profile) if profile else measured_table(icc, channels)
    if space is not None and channels != 4 and _is_nearly_srgb(space, channels):
        space = None
    if space is None:
        space = plain_cmyk_table() if channels == 4 else StandardColour()
    return space


def _is_nearly_srgb(space: ColourSpace, channels: int) -> bool:
    axis = np.linspace(0, 1, 256 if channels == 1 else 16, dtype=np.float32)
    grid = np.stack(np.meshgrid(*[axis] * channels, indexing="ij"), axis=-1).reshape(-1, channels)
    ramp = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[:, None], channels, axis=1)
    grid = np.concatenate([grid, ramp])
    return bool(np.abs(space.to_srgb(grid) - StandardColour().to_srgb(grid)).max() <= NEARLY_SRGB)
