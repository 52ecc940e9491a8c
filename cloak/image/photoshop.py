"""Photoshop image resources and the IPTC record they carry.

References:
    Adobe Photoshop File Formats Specification (2019), "Image Resources Section".
    IPTC-NAA Information Interchange Model 4.2 (2014), chapter 5 and 6.
"""

import struct

from cloak.image.exif import holds_picture

__all__ = ["IPTC_RESOURCE", "build_resources", "cleaned_resources", "parse_resources", "public_iptc"]

SIGNATURE = b"8BIM"
IPTC_RESOURCE = 0x0404
# Thumbnails (0x0409, 0x040C), and second copies of what is written elsewhere: profile, XMP and EXIF.
DROPPED = frozenset([0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424])
PUBLIC = frozenset([IPTC_RESOURCE, 0x03ED, 0x040A, 0x040B])  # IPTC, resolution, copyright flag, URL
# Places: content location (26, 27), city, sub-location, state, country (90 to 101); the others are unique ids.
PRIVATE_DATASETS = frozenset([(2, n) for n in (26, 27, 90, 92, 95, 100, 101, 103, 147, 187, 188)] + [(1, 100)])


def parse_resources(block: bytes) -> dict[int, bytes]:
    """Resources by number; stops at the first one that is broken."""
    resources: dict[int, bytes] = {}
    position = 0
    while block[position : position + 4] == SIGNATURE and position + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, position + 4)
        name_length = block[position + 6] + 1  # a Pascal string, padded to an even length
        start = position + 6 + name_length + name_length % 2
        if start + 4 > len(block):
            break
        (length,) = struct.unpack_from(">I", block, start)
        data = block[start + 4 : start + 4 + length]
        if len(data) < length:
            break
        resources.setdefault(number, data)
        position = start + 4 + length + length % 2
    return resources


def build_resources(resources: dict[int, bytes]) -> bytes:
    """The block that `parse_resources` reads; names of resources are not kept."""
    parts = []
    for number, data in sorted(resources.items()):
        parts.append(SIGNATURE + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2))
    return b"".join(parts)


def cleaned_resources(resources: dict[int, bytes], *, private: bool) -> dict[int, bytes]:
    """Drop thumbnails and copies; with `private` keep only what is meant for the public, without places and ids."""
    kept = {n: data for n, data in resources.items() if n not in DROPPED and not holds_picture(data)}
    if not private:
        return kept
    kept = {n: data for n, data in kept.items() if n in PUBLIC}
    if iptc := public_iptc(kept.pop(IPTC_RESOURCE, b"")):
        kept[IPTC_RESOURCE] = iptc
    return kept


def public_iptc(record: bytes) -> bytes:
    """The record without places and unique ids; what follows a broken or extended data set is dropped."""
    kept = bytearray()
    position = 0
    while position + 5 <= len(record) and record[position] == 0x1C:
        group, number, length = struct.unpack_from(">BBH", record, position + 1)
        end = position + 5 + length
        if length & 0x8000 or end > len(record):
            break
        if (group, number) not in PRIVATE_DATASETS:
            kept += record[position:end]
        position = end
    return bytes(kept)
