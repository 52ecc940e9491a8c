"""How a JPEG was coded, and writing one again at least as well."""

import io
import struct
from functools import cache

import numpy as np
from PIL import Image, JpegImagePlugin

from cloak.image.document import JpegCoding
from cloak.image.photoshop import parse_resources

__all__ = ["estimate_quality", "read_coding", "resource_segments", "resources_of_jpeg"]

SUBSAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
RESOURCE_HEADER = b"Photoshop 3.0\0"
SEGMENT_LIMIT = 65533


def read_coding(image: JpegImagePlugin.JpegImageFile) -> JpegCoding:
    """Quality, subsampling and tables of an opened JPEG."""
    tables = {number: list(table) for number, table in image.quantization.items()}
    sampling = JpegImagePlugin.get_sampling(image) if image.mode == "RGB" else -1
    progressive = bool(image.info.get("progressive"))
    return JpegCoding(estimate_quality(tables), SUBSAMPLINGS.get(sampling), tables, progressive)


def estimate_quality(tables: dict[int, list[int]]) -> int:
    """The IJG quality whose luminance table is nearest, 1 to 100.

    Args:
        tables: quantisation tables by number, as Pillow gives them.
    """
    if 0 not in tables:
        return 75
    table = np.log(np.maximum(np.array(tables[0]), 1))
    distances = [float(np.abs(table - np.log(reference)).mean()) for reference in _standard_tables()]
    return 1 + int(np.argmin(distances))


@cache
def _standard_tables() -> tuple[tuple[int, ...], ...]:
    """Luminance tables of libjpeg for quality 1 to 100."""
    tables = []
    for quality in range(1, 101):
        stream = io.BytesIO()
        Image.new("L", (8, 8)).save(stream, "JPEG", quality=quality)
        with Image.open(stream, formats=("JPEG",)) as image:
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
            tables.append(tuple(image.quantization[0]))
    return tuple(tables)


def resources_of_jpeg(image: Image.Image) -> dict[int, bytes]:
    """Photoshop resources of an opened JPEG, which may span several segments."""
    segments = getattr(image, "applist", [])
    blocks = [data for name, data in segments if name == "APP13" and data.startswith(RESOURCE_HEADER)]
    return parse_resources(b"".join(block[len(RESOURCE_HEADER) :] for block in blocks))


def resource_segments(block: bytes) -> bytes:
    """Photoshop resources as JPEG segments; empty for an empty block."""
    room = SEGMENT_LIMIT - len(RESOURCE_HEADER)
    parts = [RESOURCE_HEADER + block[start : start + room] for start in range(0, len(block), room)]
    return b"".join(b"\xff\xed" + struct.pack(">H", len(part) + 2) + part for part in parts)
