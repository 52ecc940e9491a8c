"""PNG chunks: which ones travel, how they are put into a new file, and 16-bit samples, which Pillow cannot write.

References:
    W3C, Portable Network Graphics (third edition), 2025, sections 9 (filtering) and 11 (chunks).
"""

import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import png  # type: ignore[import-untyped]
from numpy.typing import NDArray

from cloak.image.exif import holds_picture

__all__ = ["XMP_KEYWORD", "Chunk", "cleaned_chunks", "compress_level", "encode_samples", "insert_chunks", "read_chunks"]

XMP_KEYWORD = b"XML:com.adobe.xmp"
COLOUR_CHUNKS = frozenset([b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI"])
TEXT_CHUNKS = frozenset([b"tEXt", b"zTXt", b"iTXt"])
TRAVELLING = COLOUR_CHUNKS | TEXT_CHUNKS | {b"tIME"}
PUBLIC_KEYWORDS = frozenset(
    [b"Title", b"Author", b"Description", b"Copyright", b"Creation Time", b"Software", b"Disclaimer", b"Comment"]
)
MAX_TEXT = 1 << 24
LARGE = 4_000_000  # pixels from which fast compression is worth a tenth more bytes
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


@dataclass(frozen=True)
class Chunk:
    """One PNG chunk.

    Args:
        kind: its four letters.
        payload: its content, as stored.
    """

    kind: bytes
    payload: bytes

    @property
    def is_colour(self) -> bool:
        return self.kind in COLOUR_CHUNKS

    @property
    def keyword(self) -> bytes:
        """Keyword of a text chunk, empty for others."""
        return self.payload.partition(b"\0")[0] if self.kind in TEXT_CHUNKS else b""

    @property
    def text(self) -> bytes:
        """Everything after the keyword, with its compressed part unpacked; empty when it is broken or too long."""
        rest = self.payload.partition(b"\0")[2]
        if self.kind == b"iTXt":
            head, rest = rest[:2], rest[2:].partition(b"\0")[2].partition(b"\0")[2]
            return _unpacked(rest) if head[:1] == b"\1" else rest
        return _unpacked(rest[1:]) if self.kind == b"zTXt" else rest


def _unpacked(data: bytes) -> bytes:
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(data, MAX_TEXT)
    except zlib.error:
        return b""
    return b"" if inflate.unconsumed_tail else text


def read_chunks(data: bytes) -> tuple[Chunk, ...]:
    """The chunks that may travel to a new file; every checksum of the file is verified.

    Raises:
        png.Error: the file is cut off or a checksum is wrong.
    """
    found = []
    for kind, payload in png.Reader(bytes=data).chunks():
        if kind in TRAVELLING:
            found.append(Chunk(kind, payload))
    return tuple(found)


def cleaned_chunks(chunks: Iterable[Chunk], *, private: bool) -> tuple[Chunk, ...]:
    """Drop packets written elsewhere and texts that hold a picture; with `private` keep only public keywords."""
    return tuple(chunk for chunk in chunks if chunk.kind not in TEXT_CHUNKS or _may_stay(chunk, private))


def _may_stay(chunk: Chunk, private: bool) -> bool:
    if private and chunk.keyword not in PUBLIC_KEYWORDS:
        return False
    if chunk.keyword == XMP_KEYWORD:
        return False
    if chunk.keyword.startswith(b"Raw profile type ") and not chunk.keyword.endswith(b" iptc"):
        return False
    text = chunk.text
    return bool(text) and not holds_picture(text)


def insert_chunks(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """Put chunks right after the header of a PNG."""
    header_end = 8 + 25
    body = b"".join(_packed(chunk) for chunk in chunks)
    return data[:header_end] + body + data[header_end:]


def _packed(chunk: Chunk) -> bytes:
    stream = io.BytesIO()
    png.write_chunk(stream, chunk.kind, chunk.payload)
    return stream.getvalue()


def compress_level(pixels: int) -> int:
    """How hard zlib shall try: five times faster for large pictures, whose noise hardly compresses anyway."""
    return 6 if pixels < LARGE else 3


def encode_samples(samples: NDArray[Any]) -> bytes:
    """Write (H, W, C) samples as a PNG without metadata, 16 bits for each sample.

    Args:
        samples: uint16, C is 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    """
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    stream = io.BytesIO()
    png.write_chunks(stream, [(b"IHDR", header), (b"IDAT", _compressed(samples)), (b"IEND", b"")])
    return stream.getvalue()


def _compressed(samples: NDArray[Any], rows: int = 64) -> bytes:
    """Filter every row with "Sub" and compress; a few rows at a time, so that no second copy of the picture is made."""
    deflate = zlib.compressobj(compress_level(samples.shape[0] * samples.shape[1]))
    parts = []
    step = samples.shape[2] * 2  # bytes of one pixel
    for top in range(0, len(samples), rows):
        strip = samples[top : top + rows].astype(">u2")
        raw = strip.reshape(len(strip), -1).view(np.uint8)
        filtered = np.empty((raw.shape[0], raw.shape[1] + 1), np.uint8)
        filtered[:, 0] = 1
        filtered[:, 1 : 1 + step] = raw[:, :step]
        filtered[:, 1 + step :] = raw[:, step:] - raw[:, :-step]
        parts.append(deflate.compress(filtered.tobytes()))
    return b"".join([*parts, deflate.flush()])
