"""Writes changed pixels back in the picture's own colour space, depth and format, with what travelled beside them."""

from dataclasses import replace
from typing import Any
from xml.dom.minidom import Document

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cloak.errors import OutputError
from cloak.image.colour import StandardColour
from cloak.image.document import JpegCoding, PictureDocument, Raster, row_strips, srgb_pixels
from cloak.image.metadata import Metadata, prepared_metadata
from cloak.image.notice import add_notice, fresh_packet
from cloak.image.writers import WRITERS, Payload, Writer
from cloak.types import FormatChoice, MetadataPolicy

__all__ = ["encode_picture", "settle"]

LOWEST_QUALITY = 90  # "keep" never codes coarser than this: coarse coding wipes a perturbation out


def encode_picture(
    document: PictureDocument,
    pixels: Tensor,
    *,
    format: FormatChoice = "keep",  # noqa: A002
    metadata: MetadataPolicy = "keep",
    notice: bool = True,
    quality: int | None = None,
) -> bytes:
    """The bytes of a picture file with new pixels.

    Unchanged pixels keep their stored values, alpha is put back exactly, and fully transparent pixels stay untouched.

    Args:
        document: the picture that was read.
        pixels: (1, 3, H, W) sRGB, floating point; clipped to [0, 1].
        format: "keep" for the picture's own.
        metadata: "keep", "strip-private" or "strip"; thumbnails and C2PA manifests go under each of them.
        notice: whether to state in the XMP that AI training is prohibited.
        quality: 1 to 100 for JPEG, AVIF and WebP, where 100 is without loss; None keeps the input's, but at least 90.

    Raises:
        OutputError: the format cannot hold the picture.

    Example:
        >>> from PIL import Image
        >>> from cloak.image import read_picture
        >>> document = read_picture(Image.new("RGB", (4, 4), "teal"))
        >>> read_picture(encode_picture(document, document.pixels)).pixels.equal(document.pixels)
        True
    """
    _check(document, pixels, quality)
    name = document.output_format(format)
    writer = WRITERS[name]
    raster, native = _stored(document, pixels, writer)
    raster = _fitting_alpha(raster, document, name, writer)
    prepared = prepared_metadata(document.metadata, metadata, document.size, _notifier(notice and writer.xmp))
    payload = Payload(
        raster=raster,
        metadata=_described(prepared, name, native),
        lossless=(document.lossless and quality is None) or (name == "webp" and quality == 100),
        quality=_quality(document, name, quality),
        coding=_coding(document, name, raster, quality),
    )
    return _written(writer, payload, document.name, name)


def settle(document: PictureDocument, pixels: Tensor, *, format: FormatChoice = "keep") -> Tensor:  # noqa: A002
    """What a reader of the written file sees, lossy coding aside: (1, 3, H, W) float32 sRGB.

    Args:
        document: the picture that was read.
        pixels: (1, 3, H, W) sRGB, floating point.
        format: as for `encode_picture`.
    """
    _check(document, pixels, None)
    raster, native = _stored(document, pixels, WRITERS[document.output_format(format)])
    return srgb_pixels(raster, document.colour if native else StandardColour())


def _check(document: PictureDocument, pixels: Tensor, quality: int | None) -> None:
    width, height = document.size
    if tuple(pixels.shape) != (1, 3, height, width) or not pixels.is_floating_point():
        raise ValueError(f"pixels must be floating point of shape (1, 3, {height}, {width}), got {tuple(pixels.shape)}")
    if not bool(torch.isfinite(pixels).all()):
        raise ValueError("pixels must be finite, got NaN or infinity")
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"quality must be within 1 and 100, got {quality}")


def _stored(document: PictureDocument, pixels: Tensor, writer: Writer) -> tuple[Raster, bool]:
    """The samples to write, and whether they are in the picture's own colour space."""
    old = document.raster
    levels = old.levels if old.bit_depth in writer.depths else 255
    native = old.channels in writer.channels
    planes = pixels.detach()[0].to("cpu", torch.float32).numpy()
    kind = np.uint16 if levels == 65535 else np.uint8
    samples = np.empty((*old.samples.shape[:2], old.channels if native else 3), kind)
    for rows in row_strips(*old.samples.shape[:2]):
        target = np.ascontiguousarray(planes[:, rows].reshape(3, -1).T).clip(0, 1)  # (pixels, 3)
        before = old.fractions(rows)
        if old.alpha is not None:
            hidden = old.alpha[rows].reshape(-1) == 0
            target[hidden] = document.colour.to_srgb(before[hidden])
        strip = document.colour.moved(before, target) if native else target
        samples[rows] = np.rint(strip * np.float32(levels)).reshape(samples[rows].shape)
    _restore_hidden(samples, old, native)
    return Raster(samples, _alpha_of(old, levels)), native


def _restore_hidden(samples: NDArray[Any], old: Raster, native: bool) -> None:
    """Put stored colours back, bit by bit, where the picture is fully transparent."""
    if old.alpha is not None and native and samples.dtype == old.samples.dtype:
        hidden = old.alpha == 0
        samples[hidden] = old.samples[hidden]


def _alpha_of(old: Raster, levels: int) -> NDArray[Any] | None:
    if old.alpha is None or levels == old.levels:
        return old.alpha
    return np.rint(old.alpha / np.float32(257)).astype(np.uint8)


def _fitting_alpha(raster: Raster, document: PictureDocument, name: str, writer: Writer) -> Raster:
    if raster.alpha is None or raster.channels in writer.alpha_channels:
        return raster
    if not (raster.alpha == raster.levels).all():
        raise OutputError(
            f"{document.name} has transparency, which {name.upper()} cannot hold; choose png, webp or tiff."
        )
    return Raster(raster.samples)


def _notifier(notice: bool) -> Any:
    def notify(packet: Document | None) -> Document | None:
        if notice:
            packet = packet or fresh_packet()
            add_notice(packet)
        return packet

    return notify


def _described(metadata: Metadata, name: str, native: bool) -> Metadata:
    """Leave out what does not hold for the new samples or the new format."""
    if name != "png":
        metadata = replace(metadata, chunks=())
    if not native:
        colourless = tuple(chunk for chunk in metadata.chunks if not chunk.is_colour)
        metadata = replace(metadata, icc=None, chunks=colourless)
    return metadata


def _quality(document: PictureDocument, name: str, quality: int | None) -> int:
    known = document.jpeg_quality if name == "jpeg" else None
    return quality or max(known or 0, LOWEST_QUALITY)


def _coding(document: PictureDocument, name: str, raster: Raster, quality: int | None) -> JpegCoding | None:
    """The input's own JPEG tables where they are fine enough for it and fit the samples."""
    coding = document.jpeg
    if name != "jpeg" or coding is None or raster.channels != document.raster.channels:
        return None
    if quality is not None or coding.quality < LOWEST_QUALITY:
        return replace(coding, tables={})
    return coding


def _written(writer: Writer, payload: Payload, label: str, name: str) -> bytes:
    try:
        return writer.write(payload)
    except MemoryError as error:
        raise OutputError(f"{label} does not fit into memory as {name.upper()}; close other programs.") from error
    except Exception as error:  # an encoder may refuse a picture in its own way
        width, height = payload.raster.size
        reason = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
        raise OutputError(
            f"{label} ({width} x {height}) cannot be written as {name.upper()} ({reason}); choose png or tiff."
        ) from error
