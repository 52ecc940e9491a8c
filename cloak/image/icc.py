"""The part of ICC profiles that Pillow cannot apply beyond 8 bits: primaries and curves, read in full precision.

Profiles made of look-up tables are left to LittleCMS (see `colour_table`).

References:
    ICC.1:2022, sections 7.2 (header), 7.3 (tag table), 10.6 (curveType), 10.18 (parametricCurveType), 10.31 (XYZType).
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MatrixProfile", "parse_matrix_profile", "profile_channels"]

CURVE_POINTS = 4096
CHANNELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}


@dataclass(frozen=True)
class MatrixProfile:
    """Curves and primaries of a profile.

    Args:
        curves: one increasing table for each channel, from value (evenly spaced over [0, 1]) to linear light.
        primaries: 3x3, columns are the XYZ (D50) of red, green and blue; identity for grey.
    """

    curves: list[NDArray[np.float64]]
    primaries: NDArray[np.float64]


def profile_channels(icc: bytes) -> int | None:
    """How many channels a picture of this profile has; None when that is unknown."""
    return CHANNELS.get(icc[16:20])


def parse_matrix_profile(icc: bytes, channels: int) -> MatrixProfile | None:
    """Read a matrix or grey profile; None when it is of another kind, for other channels, or broken."""
    if profile_channels(icc) != channels or channels == 4 or icc[20:24] != b"XYZ ":
        return None
    try:
        return _parse(icc, _tags(icc))
    except (struct.error, KeyError, ValueError, IndexError, np.linalg.LinAlgError):
        return None


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    if count > 200:
        raise ValueError("too many tags")
    entries = (struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(count))
    return {name: icc[offset : offset + length] for name, offset, length in entries}


def _parse(icc: bytes, tags: dict[bytes, bytes]) -> MatrixProfile | None:
    if b"A2B0" in tags:
        return None
    if profile_channels(icc) == 1:
        return MatrixProfile([_curve(tags[b"kTRC"])], np.eye(3))
    primaries = np.stack([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
    if not np.linalg.det(primaries) > 1e-4:
        raise ValueError("primaries do not span a space")
    return MatrixProfile([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")], primaries)


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> NDArray[np.float64]:
    x = np.linspace(0, 1, CURVE_POINTS)
    curve = _sampled_curve(tag, x) if tag[:4] == b"curv" else _parametric_curve(tag, x)
    if not np.isfinite(curve).all() or (np.diff(curve) < 0).any() or curve[-1] - curve[0] < 0.5:
        raise ValueError("curve is not increasing")
    return np.clip(curve, 0, 1)


def _sampled_curve(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return x
    values = np.frombuffer(tag, ">u2", count, 12).astype(np.float64)
    if count == 1:
        return np.asarray(x ** (values[0] / 256))
    return np.interp(x, np.linspace(0, 1, count), values / 65535)


def _parametric_curve(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Function types 0 to 4 of table 68: y = (a x + b)^g + e above d, c x + f below."""
    if tag[:4] != b"para":
        raise ValueError("unknown curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    names = ("g", "gab", "gabc", "gabcd", "gabcdef")[kind]
    given = np.array(struct.unpack_from(f">{len(names)}i", tag, 12)) / 65536
    g, a, b, c, d, e, f = (dict(zip(names, given.tolist(), strict=True)).get(name) for name in "gabcdef")
    if g is None or g <= 0:
        raise ValueError("exponent must be positive")
    if kind == 0:
        return np.asarray(x**g)
    if not a or b is None:
        raise ValueError("slope must not be zero")
    if kind in (1, 2):
        d, e, f, c = -b / a, c or 0.0, c or 0.0, 0.0
    low = (c or 0.0) * x + (f or 0.0)
    return np.where(x >= (d or 0.0), np.maximum(a * x + b, 0) ** g + (e or 0.0), low)
