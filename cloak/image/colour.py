"""Colour spaces: from a picture's stored values to sRGB, and changes in sRGB back to stored values.

Going back never converts a whole picture. It moves the stored value by what the change in sRGB asks for, so that an
unchanged pixel keeps its stored value exactly and colours outside sRGB are not clipped.
"""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from cloak.image.icc import MatrixProfile

__all__ = ["ColourSpace", "Floats", "MatrixColour", "StandardColour", "srgb_decode", "srgb_encode"]

Floats = NDArray[np.float32]

# sRGB primaries, Bradford-adapted to D50, the white of every ICC connection space (IEC 61966-2-1; ICC.1:2022 annex E).
SRGB_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)


def srgb_encode(linear: Floats) -> Floats:
    """Linear light to sRGB values, both in [0, 1]; clips first."""
    linear = np.clip(linear, 0, 1)
    curved = 1.055 * np.power(linear, 1 / 2.4, dtype=np.float32) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curved).astype(np.float32)


def srgb_decode(encoded: Floats) -> Floats:
    """SRGB values to linear light, both in [0, 1]."""
    curved = np.power((encoded + 0.055) / 1.055, 2.4, dtype=np.float32)
    return np.where(encoded <= 0.04045, encoded / 12.92, curved).astype(np.float32)


class ColourSpace(ABC):
    """A way from stored values to sRGB and back; all arrays are (pixels, channels) float32 in [0, 1]."""

    exact = False  # True when stored values are sRGB values, so that rounding is the only loss

    @abstractmethod
    def to_srgb(self, native: Floats) -> Floats:
        """(pixels, C) stored values to (pixels, 3) sRGB."""

    @abstractmethod
    def moved(self, native: Floats, target: Floats) -> Floats:
        """Stored values whose sRGB colour is nearest to `target`; `native` itself where the colour is unchanged."""


class StandardColour(ColourSpace):
    """Stored values are sRGB already, or grey with sRGB's curve."""

    exact = True

    def to_srgb(self, native: Floats) -> Floats:
        srgb: Floats = np.repeat(native, 3, axis=1) if native.shape[1] == 1 else native
        return srgb

    def moved(self, native: Floats, target: Floats) -> Floats:
        if native.shape[1] == 1:
            grey: Floats = target.mean(axis=1, keepdims=True, dtype=np.float32)
            return grey
        return target


class MatrixColour(ColourSpace):
    """An RGB space of three primaries and curves, or a grey curve (Adobe RGB, Display P3, ProPhoto, Gray Gamma 2.2)."""

    def __init__(self, profile: MatrixProfile) -> None:
        self.curves = profile.curves
        self._grid = np.linspace(0, 1, len(self.curves[0]))
        if len(self.curves) == 3:
            to_linear = np.linalg.inv(SRGB_TO_XYZ) @ profile.primaries
            self._to_linear = to_linear.T.astype(np.float32)
            self._from_linear = np.linalg.inv(to_linear).T.astype(np.float32)

    def to_srgb(self, native: Floats) -> Floats:
        channels = [np.interp(native[:, i], self._grid, curve) for i, curve in enumerate(self.curves)]
        light = np.stack(channels, axis=1).astype(np.float32)
        if len(self.curves) == 1:
            return srgb_encode(np.repeat(light, 3, axis=1))
        return srgb_encode(light @ self._to_linear)

    def moved(self, native: Floats, target: Floats) -> Floats:
        change = self._from_srgb(target) - self._from_srgb(self.to_srgb(native))
        return np.clip(native + change, 0, 1)

    def _from_srgb(self, srgb: Floats) -> Floats:
        light = srgb_decode(srgb)
        light = light.mean(axis=1, keepdims=True) if len(self.curves) == 1 else light @ self._from_linear
        native = [np.interp(light[:, i], c, self._grid) for i, c in enumerate(self.curves)]
        return np.stack(native, axis=1).astype(np.float32)
