"""Colour spaces that are only known by their values: CMYK and RGB profiles of look-up tables.

LittleCMS is asked once for the colours on a grid; between the nodes the colour is interpolated on simplices, which also
gives its derivative. Changes go back by damped Gauss-Newton steps from the stored value.

References:
    Kasson, Nin, Plouffe, Hafner, "Performing color space conversions with 3D linear interpolation", 1995.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cloak.image.colour import ColourSpace, Floats
from cloak.image.icc import profile_channels

__all__ = ["TableColour", "measured_table", "plain_cmyk_table"]

MODES = {1: "L", 3: "RGB", 4: "CMYK"}
NODES = {1: 256, 3: 18, 4: 16}  # 255 is a multiple of nodes - 1, so that every node is an 8-bit value
STEPS = 3
DAMPING = 1e-3


class TableColour(ColourSpace):
    """Interpolates a table of sRGB colours.

    Args:
        table: (n, ..., n, 3) float32, one axis for each channel.
    """

    def __init__(self, table: Floats) -> None:
        self.dimensions, self.nodes = table.ndim - 1, table.shape[0]
        self._colours = np.ascontiguousarray(table, np.float32).reshape(-1, 3)
        self._strides = self.nodes ** np.arange(self.dimensions - 1, -1, -1)

    def to_srgb(self, native: Floats) -> Floats:
        return self._interpolate(native)[0]

    def moved(self, native: Floats, target: Floats) -> Floats:
        moved = native
        goal: Floats | None = None
        for _ in range(STEPS):
            colour, slopes = self._interpolate(moved)
            goal = target if goal is None else goal
            moved = np.clip(moved + self._step(goal - colour, slopes), 0, 1)
        return moved

    def _interpolate(self, native: Floats) -> tuple[Floats, Floats]:
        """Colours (pixels, 3) and their derivatives (pixels, 3, C)."""
        scaled = np.clip(native, 0, 1) * np.float32(self.nodes - 1)
        base = np.minimum(scaled.astype(np.int64), self.nodes - 2)
        part = scaled - base
        order = np.argsort(-part, axis=1, kind="stable")  # walk the cell's edges by falling fraction
        rows = np.arange(len(native))
        node = base @ self._strides
        here = self._colours[node]
        colour, slopes = here.copy(), np.empty((len(native), 3, self.dimensions), np.float32)
        for rank in range(self.dimensions):
            axis = order[:, rank]
            node = node + self._strides[axis]
            there = self._colours[node]
            edge = there - here
            colour += part[rows, axis, None] * edge
            slopes[rows, :, axis] = edge * np.float32(self.nodes - 1)
            here = there
        return colour, slopes

    def _step(self, wanted: Floats, slopes: Floats) -> Floats:
        """The smallest change of channels (pixels, C) that gives the wanted change of colour (pixels, 3)."""
        normal = slopes @ slopes.transpose(0, 2, 1)
        normal[:, range(3), range(3)] += DAMPING
        solved: Floats = np.linalg.solve(normal, wanted[:, :, None])
        return np.asarray((slopes.transpose(0, 2, 1) @ solved)[:, :, 0], np.float32)


def _grid(channels: int) -> NDArray[np.uint8]:
    axis = np.linspace(0, 255, NODES[channels]).round().astype(np.uint8)
    return np.stack(np.meshgrid(*[axis] * channels, indexing="ij"), axis=-1)


def measured_table(icc: bytes, channels: int) -> TableColour | None:
    """Ask LittleCMS for a profile's colours (perceptual intent); None when the profile cannot be used."""
    if profile_channels(icc) != channels:
        return None
    grid = _grid(channels)
    flat = grid.reshape(1, -1) if channels == 1 else grid.reshape(1, -1, channels)
    try:
        image = Image.frombytes(MODES[channels], (flat.shape[1], 1), flat.tobytes())
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        colours = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    table = np.asarray(colours, np.float32) / np.float32(255)
    return TableColour(table.reshape(*grid.shape[:-1], 3))


def plain_cmyk_table() -> TableColour:
    """CMYK without a profile: each of red, green, blue is (1 - ink)(1 - black)."""
    inks = _grid(4).astype(np.float32) / np.float32(255)
    return TableColour((1 - inks[..., :3]) * (1 - inks[..., 3:]))
