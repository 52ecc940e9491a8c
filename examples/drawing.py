"""Tools of `make_examples.py`: a pen for large canvases, curves, smooth noise, 16-bit PNG."""

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
Floats = NDArray[np.float64]

INK: Colour = (38, 28, 52)
SCALE = 3  # drawn this much larger, then reduced, for smooth edges


class Pen:
    """Draws on a picture that is `SCALE` times larger than its units.

    Args:
        image: where to draw.
        width: of outlines, in units.
    """

    def __init__(self, image: Image.Image, width: float = 3) -> None:
        self.draw, self.width = ImageDraw.Draw(image), width

    def shape(self, points: Points, fill: Colour | None, outline: Colour | None = INK) -> None:
        """A closed shape through points."""
        large = [(x * SCALE, y * SCALE) for x, y in points]
        if fill is not None:
            self.draw.polygon(large, fill=fill)
        if outline is not None:
            self.draw.line([*large, large[0], large[1]], fill=outline, width=round(self.width * SCALE), joint="curve")

    def line(self, points: Points, colour: Colour = INK, width: float | None = None) -> None:
        """An open line through points, with round ends."""
        width = (width or self.width) * SCALE
        large = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.line(large, fill=colour, width=round(width), joint="curve")
        for x, y in (large[0], large[-1]):
            self.draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=colour)


def oval(x: float, y: float, rx: float, ry: float, turn: float = 0, start: float = 0, end: float = 360) -> Points:
    """Points of an ellipse; angles in degrees."""
    angles = np.radians(np.linspace(start, end, 72))
    px, py, t = rx * np.cos(angles), ry * np.sin(angles), math.radians(turn)
    xs, ys = x + px * math.cos(t) - py * math.sin(t), y + px * math.sin(t) + py * math.cos(t)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def smooth(points: Points, closed: bool = True, steps: int = 14) -> Points:
    """A Catmull-Rom curve through points."""
    p = np.array(points, float)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return [(float(x), float(y)) for x, y in np.concatenate(pieces)]


def reduced(image: Image.Image) -> Image.Image:
    """Back to one pixel for each unit."""
    return image.resize((image.width // SCALE, image.height // SCALE), Image.Resampling.LANCZOS)


def cloud_noise(height: int, width: int, seed: int, octaves: int = 5, stretch: float = 1) -> Floats:
    """Smooth noise in [0, 1]; `stretch` above 1 draws it out sideways."""
    generator, total = np.random.default_rng(seed), np.zeros((height, width))
    for octave in range(octaves):
        rows, columns = 3 * 2**octave, max(2, round(3 * 2**octave * width / height / stretch))
        coarse = Image.fromarray(generator.random((rows, columns)).astype(np.float32))
        total += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 1.8**octave
    return np.asarray((total - total.min()) / (total.max() - total.min()))


def write_wide_png(samples: NDArray[np.uint16], path: Path) -> None:
    """Write (H, W, 3) samples as a 16-bit PNG, which Pillow cannot."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    height, width, _ = samples.shape
    raw = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    rows = np.concatenate([np.full((height, 1), 2, np.uint8), np.diff(raw, axis=0, prepend=np.uint8(0))], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
