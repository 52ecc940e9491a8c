"""From a path, bytes or a Pillow picture to the bytes of a file, and the guard around every decoder.

Whatever is wrong with a file ends as one `InputError` of one sentence that names the file and the remedy.
"""

import errno
import io
import logging
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from cloak.errors import CloakError, InputError

__all__ = ["FORMATS", "LoadedFile", "ReadLimits", "announced_size", "check_size", "decoding", "load_bytes"]

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP")
_HEADERS_IN_PYTHON = ("PNG", "JPEG", "BMP")  # Pillow opens the others with libraries in C
READABLE = "PNG, JPEG, WebP, TIFF, AVIF or BMP"
KNOWN_ELSEWHERE = {
    b"GIF8": "a GIF",
    b"8BPS": "a Photoshop document",
    b"%PDF": "a PDF",
    b"%!PS": "a PostScript file",
    b"<svg": "an SVG drawing",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\0\0\1\0": "an icon",
    b"SIMPLE  =": "a FITS file",
    b"PK\3\4": "a ZIP archive or a Krita or OpenRaster document",
    b"gimp xcf": "a GIMP document",
}
_pillow = threading.RLock()
for _chatty in ("PIL", "tifffile"):  # they log what is wrong with a file, which would end up on stderr
    logging.getLogger(_chatty).addHandler(logging.NullHandler())


class ReadLimits(BaseModel):
    """What is refused before it is decoded."""

    model_config = ConfigDict(frozen=True)

    max_pixels: int = Field(default=200_000_000, ge=1, description="Most pixels of a picture.")
    max_bytes: int = Field(default=1_000_000_000, ge=1, description="Largest file in bytes.")


@dataclass(frozen=True)
class LoadedFile:
    """A file in memory.

    Args:
        data: its bytes.
        name: file name or what the caller called it.
        label: how messages name it: the path as given, else the name.
    """

    data: bytes
    name: str
    label: str


def load_bytes(source: Path | str | bytes | Image.Image, name: str | None, limits: ReadLimits) -> LoadedFile:
    """Bring a picture's file into memory.

    Args:
        source: a path, the bytes of a file, or a Pillow picture (which is stored without loss first).
        name: what to call it; the file's name when None.
        limits: what is refused.

    Raises:
        InputError: there is no such file, it is empty, too large, or cannot be read.
    """
    if isinstance(source, (str, Path)):
        loaded = _load_path(Path(source), name, limits)
    elif isinstance(source, Image.Image):
        label = name or "the picture"
        loaded = LoadedFile(_stored(source, label, limits), name or "picture", label)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        loaded = LoadedFile(bytes(source), name or "picture", name or "the picture")
    else:
        raise TypeError(f"source must be a path, bytes or a Pillow image, got {type(source).__name__}")
    if not loaded.data:
        raise InputError(f"{loaded.label} is empty (0 bytes); export or download it again.")
    if len(loaded.data) > limits.max_bytes:
        raise InputError(_too_many_bytes(loaded.label, len(loaded.data), limits))
    return loaded


def _load_path(path: Path, name: str | None, limits: ReadLimits) -> LoadedFile:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a folder; name a picture in it, or use `cloak gallery` for the whole folder.")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(
                f"{path} is not a regular file but a device, pipe or socket; copy the picture into a file."
            )
        if status.st_size > limits.max_bytes:
            raise InputError(_too_many_bytes(str(path), status.st_size, limits))
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise InputError(_unreadable(path, error)) from error
    return LoadedFile(data, name or path.name, str(path))


def _unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path} does not exist; check the spelling of the path."
    if isinstance(error, PermissionError):
        return f"{path} may not be read by this user; change its permissions or copy it to a folder of your own."
    if isinstance(error, NotADirectoryError):
        return f"{path} does not exist, since a part of the path is a file; check the spelling of the path."
    if isinstance(error, RuntimeError) or (isinstance(error, OSError) and error.errno == errno.ELOOP):
        return f"{path} is a symbolic link that leads back to itself; name the real file."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{str(path)!r} cannot be read ({reason}); check the path and the disk."


def _too_many_bytes(label: str, size: int, limits: ReadLimits) -> str:
    return (
        f"{label} is too large ({size:,} bytes, the limit is {limits.max_bytes:,}); make it smaller or raise the limit."
    )


def _stored(image: Image.Image, label: str, limits: ReadLimits) -> bytes:
    """A Pillow picture as the bytes of a PNG, or of a TIFF where PNG cannot hold it."""
    check_size(image.size, label, limits)
    with decoding(label, limits):
        if image.mode in ("I", "F", "LAB", "HSV"):
            raise InputError(f"{label} has mode {image.mode}, which is not supported; convert it to RGB first.")
        exif, icc = image.getexif(), image.info.get("icc_profile")
        if image.mode in ("YCbCr", "RGBX", "RGBa", "La", "PA"):
            image = image.convert({"RGBa": "RGBA", "La": "LA", "PA": "RGBA"}.get(image.mode, "RGB"))
        stream = io.BytesIO()
        container = "TIFF" if image.mode == "CMYK" else "PNG"
        image.save(
            stream, container, exif=exif, icc_profile=icc, **({"compress_level": 1} if container == "PNG" else {})
        )
        return stream.getvalue()


def check_size(size: tuple[int, int], label: str, limits: ReadLimits) -> None:
    """Refuse a picture without pixels or with too many.

    Raises:
        InputError: it is so.
    """
    width, height = size
    if width < 1 or height < 1:
        raise InputError(f"{label} has no pixels ({width} x {height}); export it again.")
    if width * height > limits.max_pixels:
        raise InputError(
            f"{label} is too large ({width} x {height} pixels, the limit is {limits.max_pixels:,}); "
            "make it smaller or raise the limit."
        )


def announced_size(data: bytes) -> tuple[int, int] | None:
    """Height and width that the header of a file tells, before its orientation is applied; None where it does not.

    No library in C sees the file, so that the process that asks is safe from those that would bring it down.
    """
    try:
        with decoding("", ReadLimits()), Image.open(io.BytesIO(data), formats=_HEADERS_IN_PYTHON) as image:
            return image.height, image.width
    except InputError:
        return None


@contextmanager
def decoding(label: str, limits: ReadLimits, data: bytes = b"") -> Iterator[None]:
    """Run decoders one at a time, silently, strictly and within the limits; turn whatever they raise into `InputError`.

    Args:
        label: how messages name the picture.
        limits: Pillow's own bomb check is set to the same number of pixels meanwhile.
        data: the file, to say what it is when it is not a picture that can be read.
    """
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limits.max_pixels, False
        try:
            yield
        except CloakError:
            raise
        except Exception as error:  # a decoder given a malformed file may raise anything
            raise InputError(_undecodable(label, error, data)) from error
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _undecodable(label: str, error: Exception, data: bytes) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"{label} is {_kind_of(data)}; save it as {READABLE} first."
    if isinstance(error, Image.DecompressionBombError):
        return f"{label} has more pixels than the limit; make it smaller or raise the limit."
    if isinstance(error, MemoryError):
        return f"{label} does not fit into memory; make it smaller or close other programs."
    reason = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
    if isinstance(error, (struct.error, zlib.error, EOFError, IndexError, KeyError)):
        reason = "its structure is broken"
    return f"{label} is damaged or cut off ({reason}); export or download it again."


def _kind_of(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return "a HEIF picture, or an AVIF that is damaged"
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n") if data[:1] not in (b"\0", b"\xff") else data[:64]
    known = next((kind for magic, kind in KNOWN_ELSEWHERE.items() if head.startswith(magic)), None)
    return known or "not a picture that can be read, or a damaged one"
