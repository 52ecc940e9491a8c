"""Reads a picture file into a document; what the file holds decides its format, never its name."""

import hashlib
import io
import math
from pathlib import Path

from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from cloak.errors import InputError
from cloak.image.depth16 import tiff_bits, wide_png, wide_tiff, wide_tiff_only
from cloak.image.document import JpegCoding, PictureDocument, Raster
from cloak.image.exif import ExifTables, exif_of, read_exif
from cloak.image.jpeg import read_coding, resources_of_jpeg
from cloak.image.metadata import Metadata
from cloak.image.notice import xmp_of
from cloak.image.photoshop import IPTC_RESOURCE, parse_resources
from cloak.image.png import Chunk, read_chunks
from cloak.image.profile import colour_space_of
from cloak.image.raster import SUPPORTED_MODES, expand, turned
from cloak.image.sources import FORMATS, LoadedFile, ReadLimits, check_size, decoding, load_bytes

__all__ = ["read_picture"]

NAMES = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp", "TIFF": "tiff", "AVIF": "avif", "BMP": "bmp"}
# How the description of a C2PA manifest store begins, in every container (C2PA 2.2, section 11.1.4).
MANIFEST = b"jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71"
TIFF_MAGIC = (b"II*\0", b"MM\0*")
REDUCED_PAGE = 1  # bit of NewSubfileType: the page is a smaller copy of another one


def read_picture(
    source: Path | str | bytes | Image.Image, *, name: str | None = None, limits: ReadLimits | None = None
) -> PictureDocument:
    """Read a picture exactly: orientation applied, profile, alpha and depth kept.

    Args:
        source: a path, the bytes of a file, or a Pillow picture.
        name: what to call it in messages; the file's name when None.
        limits: what is refused before decoding; the defaults when None.

    Raises:
        InputError: the file is missing, not a picture, damaged, animated, too large or of an unsupported kind.

    Example:
        >>> document = read_picture(Image.new("L", (5, 3), 128))
        >>> document.size, document.is_grey, tuple(document.pixels.shape)
        ((5, 3), True, (1, 3, 3, 5))
    """
    limits = limits or ReadLimits()
    loaded = load_bytes(source, name, limits)
    with decoding(loaded.label, limits, loaded.data):
        try:
            with Image.open(io.BytesIO(loaded.data), formats=FORMATS) as image:
                return _read_opened(image, loaded, limits)
        except UnidentifiedImageError:
            if not loaded.data.startswith(TIFF_MAGIC):
                raise
            return _read_rare_tiff(loaded, limits)


def _read_opened(image: Image.Image, loaded: LoadedFile, limits: ReadLimits) -> PictureDocument:
    check_size(image.size, loaded.label, limits)
    _check_single(image, loaded.label)
    kind = NAMES[image.format or ""]
    mode = image.mode
    chunks = read_chunks(loaded.data) if kind == "png" else ()
    exif = exif_of(image) if kind == "tiff" else None  # Pillow turns a TIFF while it loads it
    raster = _read_raster(image, loaded, kind)
    exif = exif_of(image) if exif is None else exif
    if kind != "tiff":
        raster = turned(raster, exif.orientation)
    metadata = _read_metadata(image, exif, chunks)
    if exif.orientation >= 5 and metadata.dpi:
        metadata = Metadata(**{**vars(metadata), "dpi": metadata.dpi[::-1]})
    coding = read_coding(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else None
    mode = "LA" if (kind, mode, raster.channels, raster.bit_depth) == ("png", "RGBA", 1, 16) else mode
    return _document(loaded, kind, mode, raster, metadata, coding)


def _document(
    loaded: LoadedFile, kind: str, mode: str, raster: Raster, metadata: Metadata, jpeg: JpegCoding | None = None
) -> PictureDocument:
    lossless = kind in ("png", "tiff", "bmp") or (kind == "webp" and _is_lossless_webp(loaded.data))
    return PictureDocument(
        name=loaded.name,
        format=kind,
        mode=mode,
        sha256=hashlib.sha256(loaded.data).hexdigest(),
        raster=raster,
        colour=colour_space_of(metadata.icc, raster.channels),
        metadata=metadata,
        lossless=lossless,
        jpeg=jpeg,
        manifest=MANIFEST in loaded.data,
    )


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the first picture chunk of a WebP is the lossless kind."""
    position = 12
    while position + 8 <= len(data):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        position += 8 + length + length % 2
    return False


def _check_single(image: Image.Image, label: str) -> None:
    """Refuse animations and documents of several pages; smaller copies of the first page are fine."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return
    if image.format != "TIFF":
        raise InputError(f"{label} is animated; export one frame of it as a still picture.")
    page = 1
    while page < 16:
        try:
            image.seek(page)
        except EOFError:
            break
        if not image.tag_v2.get(254, 0) & REDUCED_PAGE:  # type: ignore[attr-defined]
            raise InputError(f"{label} has several pages; export each page as a picture of its own.")
        page += 1
    image.seek(0)


def _read_raster(image: Image.Image, loaded: LoadedFile, kind: str) -> Raster:
    if kind == "png" and loaded.data[24] == 16:
        return wide_png(loaded.data)
    if kind == "tiff":
        bits = tiff_bits(image)
        if bits > 16 or image.mode in ("I", "F") or bits in (12, 14):
            raise InputError(f"{loaded.label} has {bits} bits for each sample; save it with 8 or 16 bits.")
        if bits == 16:
            return wide_tiff(image, loaded.data)
    if image.mode not in SUPPORTED_MODES:
        raise InputError(f"{loaded.label} is stored as {image.mode}, which is not supported; convert it to RGB first.")
    return expand(image)


def _read_rare_tiff(loaded: LoadedFile, limits: ReadLimits) -> PictureDocument:
    """A TIFF of a layout that Pillow does not know (16-bit grey with alpha)."""
    raster, profile = wide_tiff_only(loaded, limits)
    exif = Image.Exif()
    exif.load(loaded.data)
    tables = read_exif(exif)
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[raster.channels] + ("A" if raster.alpha is not None else "")
    return _document(loaded, "tiff", mode, turned(raster, tables.orientation), Metadata(icc=profile, exif=tables))


def _read_metadata(image: Image.Image, exif: ExifTables, chunks: tuple[Chunk, ...]) -> Metadata:
    icc, dpi, comment = (image.info.get(key) for key in ("icc_profile", "dpi", "comment"))
    resources = resources_of_jpeg(image) if image.format in ("JPEG", "MPO") else {}
    if image.format == "TIFF":
        resources = _tiff_resources(image)
    return Metadata(
        icc=icc if isinstance(icc, bytes) and icc else None,
        exif=exif,
        xmp=xmp_of(image),
        resources=resources,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and all(0 < each < math.inf for each in dpi) else None,
        comment=comment if isinstance(comment, bytes) else None,
        chunks=chunks,
    )


def _tiff_resources(image: Image.Image) -> dict[int, bytes]:
    tags = image.tag_v2  # type: ignore[attr-defined]
    block, iptc = tags.get(34377), tags.get(33723)
    resources = parse_resources(block) if isinstance(block, bytes) else {}
    if isinstance(iptc, bytes):
        resources[IPTC_RESOURCE] = iptc
    return resources
