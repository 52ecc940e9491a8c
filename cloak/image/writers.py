"""One writer for each format, with what the format can hold."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cloak.image.document import JpegCoding, Raster
from cloak.image.exif import exif_bytes
from cloak.image.jpeg import resource_segments
from cloak.image.metadata import Metadata
from cloak.image.photoshop import build_resources
from cloak.image.png import XMP_KEYWORD, Chunk, compress_level, encode_samples, insert_chunks
from cloak.image.tiff import write_tiff
from cloak.image.xmp import shrunk_packet

__all__ = ["WRITERS", "Payload", "Writer"]

JPEG_SEGMENT = 65533
JPEG_XMP = JPEG_SEGMENT - 29


@dataclass(frozen=True)
class Payload:
    """All that goes into one file.

    Args:
        raster: samples and alpha in a form the format holds.
        metadata: already cleaned.
        lossless: whether to code WebP without loss.
        quality: 1 to 100, for lossy coding.
        coding: how the JPEG was coded, None for other input.
    """

    raster: Raster
    metadata: Metadata
    lossless: bool
    quality: int
    coding: JpegCoding | None = None

    @property
    def joined(self) -> NDArray[Any]:
        """(H, W, C) samples with alpha as the last channel."""
        if self.raster.alpha is None:
            return self.raster.samples
        return np.concatenate([self.raster.samples, self.raster.alpha[..., None]], axis=2)

    def image(self) -> Image.Image:
        """The picture for Pillow, 8 bits for each sample."""
        samples = self.joined
        if samples.shape[2] == 4 and self.raster.alpha is None:
            width, height = self.raster.size
            return Image.frombuffer("CMYK", (width, height), samples.tobytes(), "raw", "CMYK", 0, 1)
        return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


@dataclass(frozen=True)
class Writer:
    """What a format holds, and the function that writes it.

    Args:
        write: payload to bytes.
        channels: numbers of colour channels (1 grey, 3 RGB, 4 CMYK) it holds.
        alpha_channels: those it holds together with alpha.
        depths: bits for each sample.
        xmp: whether it has a place for XMP.
    """

    write: Callable[[Payload], bytes]
    channels: frozenset[int]
    alpha_channels: frozenset[int]
    depths: frozenset[int] = frozenset([8])
    xmp: bool = True


def write_png(payload: Payload) -> bytes:
    """PNG of 8 or 16 bits; samples by Pillow or `encode_samples`, metadata as chunks after the header."""
    if payload.raster.bit_depth == 16:
        data = encode_samples(payload.joined)
    else:
        stream = io.BytesIO()
        image = payload.image()
        image.save(stream, "PNG", compress_level=compress_level(image.width * image.height))
        data = stream.getvalue()
    return insert_chunks(data, _png_chunks(payload.metadata))


def _png_chunks(metadata: Metadata) -> list[Chunk]:
    chunks = [chunk for chunk in metadata.chunks if chunk.is_colour]
    if metadata.icc:
        chunks.append(Chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        x, y = (min(round(dpi / 0.0254), 2**31 - 1) for dpi in metadata.dpi)
        chunks.append(Chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if exif := exif_bytes(metadata.exif):
        chunks.append(Chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    if metadata.xmp:
        chunks.append(Chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp))
    return chunks + [chunk for chunk in metadata.chunks if not chunk.is_colour]


def write_jpeg(payload: Payload) -> bytes:
    """JPEG; the input's tables where they are given, 4:4:4 unless the quality is below 90."""
    metadata, coding = payload.metadata, payload.coding
    options: dict[str, Any] = {
        "exif": exif_bytes(metadata.exif, limit=JPEG_SEGMENT),
        "icc_profile": metadata.icc,
        "xmp": shrunk_packet(metadata.xmp, JPEG_XMP) if metadata.xmp else None,
        "extra": resource_segments(build_resources(metadata.resources)),
        "progressive": bool(coding and coding.progressive),
        "subsampling": coding.subsampling if payload.quality < 90 and coding and coding.subsampling else "4:4:4",
    }
    if metadata.dpi:
        options["dpi"] = tuple(min(dpi, 65535) for dpi in metadata.dpi)
    if metadata.comment and len(metadata.comment) <= JPEG_SEGMENT:
        options["comment"] = metadata.comment
    if coding and coding.tables:
        options["qtables"] = coding.tables
    else:
        options["quality"] = payload.quality
    return _saved_jpeg(payload.image(), options)


def _saved_jpeg(image: Image.Image, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    try:
        image.save(stream, "JPEG", optimize=True, **options)
    except OSError:  # Pillow guesses the buffer that optimising needs, and noise can exceed the guess
        stream = io.BytesIO()
        image.save(stream, "JPEG", **{**options, "progressive": False})
    return stream.getvalue()


def write_webp(payload: Payload) -> bytes:
    """WebP; alpha is always without loss, and so is colour where the input was."""
    options: dict[str, Any] = {"lossless": payload.lossless, "exact": True, "alpha_quality": 100}
    options["quality"] = 75 if payload.lossless else payload.quality
    return _saved(payload, "WEBP", method=4, use_sharp_yuv=True, **options)


def write_avif(payload: Payload) -> bytes:
    """AVIF with full colour resolution and alpha without loss."""
    options: dict[str, Any] = {
        "quality": payload.quality,
        "subsampling": "4:0:0" if payload.raster.channels == 1 else "4:4:4",
    }
    if payload.raster.alpha is None:
        return _saved(payload, "AVIF", **options)
    try:
        return _saved(payload, "AVIF", advanced={"alpha:lossless": "1"}, codec="aom", **options)
    except (ValueError, OSError):  # another encoder than aom: its best quality keeps alpha
        return _saved(payload, "AVIF", **{**options, "quality": 100})


def _saved(payload: Payload, container: str, **options: Any) -> bytes:
    metadata = payload.metadata
    carried = {"exif": exif_bytes(metadata.exif), "icc_profile": metadata.icc or b"", "xmp": metadata.xmp or b""}
    stream = io.BytesIO()
    payload.image().save(stream, container, **{key: value for key, value in carried.items() if value}, **options)
    return stream.getvalue()


def write_bmp(payload: Payload) -> bytes:
    """BMP; with alpha as version 4 with channel masks, which Pillow does not write."""
    if payload.raster.alpha is not None:
        return _bmp_with_alpha(payload)
    stream = io.BytesIO()
    payload.image().save(stream, "BMP", **({"dpi": payload.metadata.dpi} if payload.metadata.dpi else {}))
    return stream.getvalue()


def _bmp_with_alpha(payload: Payload) -> bytes:
    width, height = payload.raster.size
    body = np.ascontiguousarray(payload.joined[::-1, :, [2, 1, 0, 3]]).tobytes()
    x, y = (round(dpi / 0.0254) for dpi in payload.metadata.dpi or (96, 96))
    masks = (0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII4I", 108, width, height, 1, 32, 3, len(body), x, y, 0, 0, *masks)
    header += struct.pack("<4s48x", b"BGRs")  # sRGB, no end points and no gamma
    return struct.pack("<2sIHHI", b"BM", 14 + 108 + len(body), 0, 0, 14 + 108) + header + body


GREY, RGB, CMYK = 1, 3, 4
WRITERS: dict[str, Writer] = {
    "png": Writer(write_png, frozenset([GREY, RGB]), frozenset([GREY, RGB]), frozenset([8, 16])),
    "jpeg": Writer(write_jpeg, frozenset([GREY, RGB, CMYK]), frozenset()),
    "webp": Writer(write_webp, frozenset([RGB]), frozenset([RGB])),
    "tiff": Writer(
        lambda payload: write_tiff(payload.joined, payload.raster.alpha is not None, payload.metadata),
        frozenset([GREY, RGB, CMYK]),
        frozenset([GREY, RGB]),
        frozenset([8, 16]),
    ),
    "avif": Writer(write_avif, frozenset([GREY, RGB]), frozenset([RGB])),
    "bmp": Writer(write_bmp, frozenset([GREY, RGB]), frozenset([RGB]), xmp=False),
}
