"""EXIF as plain tables of tags: read tolerantly, cleaned by policy, written again.

Whatever could show the picture as it was before (thumbnails, previews) is dropped under every policy.

References:
    CIPA DC-008-2023 (Exif 3.0), sections 4.6.4 (TIFF tags), 4.6.5 (Exif tags), 4.6.6 (GPS).
"""

import re
import struct
import warnings
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

__all__ = ["ExifTables", "cleaned_exif", "exif_bytes", "exif_directory", "exif_of", "holds_picture", "read_exif"]

_UNREADABLE = (SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, OSError, EOFError, struct.error)

ORIENTATION = 0x0112
EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005
MAKER_NOTE = 0x927C

# How the samples are stored: the writer of the new file decides these.
STRUCTURE = frozenset(
    number
    for numbers in (
        (273, 284, 297, 301, 330, 351),
        *(range(254, 267), range(277, 282), range(288, 294), range(317, 326), range(332, 348)),
        *(range(512, 522), range(529, 533)),
    )
    for number in numbers
)
# Carried beside the tables (XMP, IPTC, Photoshop, profile), or pictures themselves (layers, C2PA manifest, padding).
ELSEWHERE = frozenset([700, 33723, 34377, 34675, 37724, 50706, 50740, 52545, 0xEA1C, 0x501B, *range(0x5012, 0x5032)])
PRIVATE_MAIN = frozenset([0x013C, 0xC62F, 0xC634, 0xC65D, 0xC68B, 0xFDE8, 0xFDE9])  # host, serial numbers, ids, owner
PRIVATE_PHOTO = frozenset([MAKER_NOTE, 0xA420, 0xA430, 0xA431, 0xA435, 0xA40B, 0xFDE8, 0xFDE9])

PICTURE_SIGNATURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|/9j/[4A2bn]|iVBORw0KGgo|RIFF....WEBP", re.DOTALL)


@dataclass(frozen=True)
class ExifTables:
    """Tags and values of the three directories; an interoperability directory is nested in `photo`.

    Args:
        main: picture and camera (IFD 0).
        photo: exposure and lens (Exif IFD).
        gps: place (GPS IFD).
    """

    main: dict[int, Any] = field(default_factory=dict)
    photo: dict[int, Any] = field(default_factory=dict)
    gps: dict[int, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.main or self.photo or self.gps)

    @property
    def orientation(self) -> int:
        """How the stored picture must be turned, 1 (not at all) to 8."""
        value = self.main.get(ORIENTATION)
        return value if isinstance(value, int) and 1 <= value <= 8 else 1


def holds_picture(value: object) -> bool:
    """Whether a value contains a JPEG, PNG or WebP, plain or in base 64."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    return isinstance(value, bytes) and len(value) > 64 and PICTURE_SIGNATURE.search(value) is not None


def exif_of(image: Image.Image) -> ExifTables:
    """The tables of an opened picture; a block that is broken counts as absent and does not cost the picture."""
    try:
        return read_exif(image.getexif())
    except _UNREADABLE:
        return ExifTables()


def read_exif(exif: Image.Exif) -> ExifTables:
    """Copy out what is readable; a broken directory counts as absent."""
    main = _readable(exif, None)
    photo = _readable(exif, EXIF_POINTER)
    interop = _readable(exif, INTEROP_POINTER) if INTEROP_POINTER in photo else {}
    photo.pop(INTEROP_POINTER, None)
    if interop:
        photo[INTEROP_POINTER] = interop
    gps = _readable(exif, GPS_POINTER)
    for pointer in (EXIF_POINTER, GPS_POINTER):
        main.pop(pointer, None)
    main = {tag: value for tag, value in main.items() if tag not in STRUCTURE | ELSEWHERE}
    return ExifTables(main, photo, gps)


def _readable(exif: Image.Exif, pointer: int | None) -> dict[int, Any]:
    try:
        if pointer is None:
            return {tag: exif[tag] for tag in list(exif)}
        return dict(exif.get_ifd(pointer))
    except _UNREADABLE:
        return {}


def cleaned_exif(tables: ExifTables, *, private: bool, size: tuple[int, int]) -> ExifTables:
    """Drop thumbnails, reset the orientation, correct the size.

    Args:
        tables: as read.
        private: whether to drop place, serial numbers, owner of the camera, maker notes and unique ids as well.
        size: (width, height) of the picture that is written.
    """
    main = {tag: value for tag, value in tables.main.items() if not holds_picture(value)}
    photo = {tag: value for tag, value in tables.photo.items() if not holds_picture(value)}
    if ORIENTATION in main:
        main[ORIENTATION] = 1
    for tag, length in zip((ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight), size, strict=True):
        if tag in photo:
            photo[int(tag)] = length
    if not private:
        return ExifTables(main, photo, dict(tables.gps))
    main = {tag: value for tag, value in main.items() if tag not in PRIVATE_MAIN}
    photo = {tag: value for tag, value in photo.items() if tag not in PRIVATE_PHOTO}
    return ExifTables(main, photo, {})


def exif_directory(tables: ExifTables, extra: dict[int, Any] | None = None) -> dict[int, Any]:
    """One nested directory of everything that can be written; tags whose value has no valid form are left out."""
    directory = _writable({**tables.main, **(extra or {})})
    for pointer, table in ((EXIF_POINTER, tables.photo), (GPS_POINTER, tables.gps)):
        if kept := _writable(table, pointer):
            directory[pointer] = kept
    return directory


def exif_bytes(tables: ExifTables, *, limit: int | None = None) -> bytes:
    r"""The EXIF block with its leading "Exif\0\0"; empty when there is nothing to write or it cannot be made to fit.

    Args:
        tables: what to write.
        limit: the most bytes the container takes; maker notes go first.
    """
    block = _block(tables)
    if limit is not None and len(block) > limit:
        block = _block(ExifTables(tables.main, {k: v for k, v in tables.photo.items() if k != MAKER_NOTE}, tables.gps))
    return block if limit is None or len(block) <= limit else b""


def _block(tables: ExifTables) -> bytes:
    directory = exif_directory(tables)
    if not directory:
        return b""
    exif = Image.Exif()
    for tag, value in directory.items():
        exif[tag] = value
    return exif.tobytes()


def _writable(table: dict[int, Any], group: int | None = None) -> dict[int, Any]:
    return {tag: value for tag, value in table.items() if _is_writable(tag, value, group)}


def _is_writable(tag: int, value: object, group: int | None) -> bool:
    directory = ImageFileDirectory_v2(b"II*\x00\x08\x00\x00\x00", group=group)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns where a tag has more values than it may have
            directory[tag] = value
            directory.tobytes(8)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, struct.error, Warning):
        return False
    return True
