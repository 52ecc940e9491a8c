"""TIFF: samples through tifffile, everything else through one more directory merged into the first.

References:
    TIFF Revision 6.0 (1992), section 2; Adobe Photoshop TIFF Technical Notes (2002).
"""

import io
import struct
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cloak.image.exif import exif_directory
from cloak.image.metadata import Metadata
from cloak.image.photoshop import IPTC_RESOURCE, build_resources

__all__ = ["write_tiff"]

HEADER = b"II*\0\x08\0\0\0"
XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, SOFTWARE_TAG = 700, 33723, 34377, 305
ENTRY = 12  # bytes of one directory entry


def write_tiff(samples: NDArray[Any], has_alpha: bool, metadata: Metadata) -> bytes:
    """Write (H, W, C) samples of 8 or 16 bits, compressed without loss.

    Args:
        samples: grey, RGB or CMYK, with alpha as the last channel if `has_alpha`.
        has_alpha: whether the last channel is (unassociated) alpha.
        metadata: what goes beside them.
    """
    channels = samples.shape[2] - has_alpha
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        samples[..., 0] if samples.shape[2] == 1 else samples,
        byteorder="<",
        photometric={1: "minisblack", 3: "rgb", 4: "separated"}[channels],
        planarconfig=None if samples.shape[2] == 1 else "contig",
        extrasamples=["unassalpha"] if has_alpha else None,
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
        resolution=metadata.dpi or (72.0, 72.0),
        resolutionunit="INCH",
        iccprofile=metadata.icc,
    )
    return _merged(stream.getvalue(), _tags(metadata))


def _tags(metadata: Metadata) -> dict[int, Any]:
    resources = dict(metadata.resources)
    extra: dict[int, Any] = {XMP_TAG: metadata.xmp, IPTC_TAG: resources.pop(IPTC_RESOURCE, None)}
    extra[PHOTOSHOP_TAG] = build_resources(resources)
    return exif_directory(metadata.exif, {tag: value for tag, value in extra.items() if value})


def _merged(data: bytes, tags: dict[int, Any]) -> bytes:
    """Add tags to the first directory, which moves to the end of the file."""
    if not tags:
        return data
    data += b"\0" * (len(data) % 2)
    added = ImageFileDirectory_v2(HEADER)
    for tag, value in tags.items():
        added[tag] = value
    block = added.tobytes(len(data))
    entries = _entries(block, 0) | _entries(data, struct.unpack_from("<I", data, 4)[0])
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    block += b"\0" * (len(block) % 2)
    return data[:4] + struct.pack("<I", len(data) + len(block)) + data[8:] + block + directory


def _entries(block: bytes, start: int) -> dict[int, bytes]:
    (count,) = struct.unpack_from("<H", block, start)
    raw = np.frombuffer(block, np.uint8, count * ENTRY, start + 2).reshape(count, ENTRY)
    return {int.from_bytes(entry[:2].tobytes(), "little"): entry.tobytes() for entry in raw}
