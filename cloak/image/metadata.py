"""What a file carries beside the picture, and what of it goes into the new file."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from xml.dom.minidom import Document

from cloak.image.exif import ExifTables, cleaned_exif
from cloak.image.photoshop import cleaned_resources
from cloak.image.png import Chunk, cleaned_chunks
from cloak.image.xmp import build_packet, cleaned_packet, parse_packet
from cloak.types import MetadataPolicy

__all__ = ["Metadata", "prepared_metadata"]


@dataclass(frozen=True)
class Metadata:
    """Everything that travels with a picture; C2PA manifests are never among it, since a change makes them invalid.

    Args:
        icc: colour profile.
        exif: EXIF tables.
        xmp: packet as stored, perhaps broken.
        resources: Photoshop resources by number; the IPTC record is number 0x0404.
        dpi: resolution (horizontal, vertical) in dots per inch.
        comment: comment of a JPEG.
        chunks: text and colour chunks of a PNG.
    """

    icc: bytes | None = None
    exif: ExifTables = field(default_factory=ExifTables)
    xmp: bytes | None = None
    resources: dict[int, bytes] = field(default_factory=dict)
    dpi: tuple[float, float] | None = None
    comment: bytes | None = None
    chunks: tuple[Chunk, ...] = ()


def prepared_metadata(
    metadata: Metadata,
    policy: MetadataPolicy,
    size: tuple[int, int],
    notice: Callable[[Document | None], Document | None],
) -> Metadata:
    """What goes into the new file.

    Args:
        metadata: as read.
        policy: "keep" everything that still holds, "strip-private" places, serial numbers and ids too, "strip" all
            but the colour profile.
        size: (width, height) of the new picture.
        notice: called with the cleaned packet (None when there is none); returns the packet to write.
    """
    if policy == "strip":
        fresh = notice(None)
        colour = tuple(chunk for chunk in cleaned_chunks(metadata.chunks, private=True) if chunk.is_colour)
        return Metadata(icc=metadata.icc, xmp=build_packet(fresh) if fresh else None, chunks=colour)
    private = policy == "strip-private"
    packet = parse_packet(metadata.xmp)
    if packet:
        cleaned_packet(packet, private=private, size=size)
    packet = notice(packet)
    return replace(
        metadata,
        exif=cleaned_exif(metadata.exif, private=private, size=size),
        xmp=build_packet(packet) if packet else None,
        resources=cleaned_resources(metadata.resources, private=private),
        comment=None if private else metadata.comment,
        chunks=cleaned_chunks(metadata.chunks, private=private),
    )
