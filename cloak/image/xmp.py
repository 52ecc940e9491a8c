"""XMP packets: parsed without entities, cleaned by policy, written with everything else in place.

A packet that declares a document type or cannot be parsed is not merged: it is left out, and a fresh one carries the
notice.

References:
    ISO 16684-1:2019 (XMP), sections 7.3 (packet wrapper) and 7.9 (equivalent forms).
    PLUS License Data Format 2.0.1, property plus:DataMining.
"""

import re
from collections.abc import Iterator
from xml.dom import minidom
from xml.dom.minidom import Document, Element
from xml.parsers.expat import ExpatError

from cloak.image.exif import holds_picture

__all__ = ["build_packet", "cleaned_packet", "parse_packet", "rdf_descriptions", "shrunk_packet"]

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMLNS = "http://www.w3.org/2000/xmlns/"
TIFF, EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
XMP, PHOTOSHOP = "http://ns.adobe.com/xap/1.0/", "http://ns.adobe.com/photoshop/1.0/"
AUX, EXIF_EX = "http://ns.adobe.com/exif/1.0/aux/", "http://cipa.jp/exif/1.0/"
IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
MAX_PACKET = 8_000_000
_ORIENTATION = "tiff:Orientation"

# Pictures inside the packet, parts that are not carried over, and a reference to a C2PA manifest that no longer holds.
STALE_NAMES = frozenset(
    [
        (XMP, "Thumbnails"),
        ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
        ("http://purl.org/dc/terms/", "provenance"),
    ]
)
STALE_SPACES = (
    "http://ns.adobe.com/xap/1.0/g/img/",
    "http://ns.google.com/photos/1.0/",
    "http://ns.adobe.com/hdr-gain-map/1.0/",
)
PRIVATE_SPACES = (
    "http://ns.adobe.com/xap/1.0/mm/",
    "http://ns.adobe.com/xap/1.0/sType/Resource",
    "http://ns.adobe.com/camera-raw-settings/1.0/",
    "http://www.metadataworkinggroup.com/schemas/regions/",
    "http://ns.microsoft.com/photo/1.2/",
)
PRIVATE_NAMES = frozenset(
    [(AUX, "SerialNumber"), (AUX, "LensSerialNumber"), (AUX, "OwnerName"), (EXIF, "ImageUniqueID"), (EXIF, "MakerNote")]
    + [(EXIF_EX, name) for name in ("BodySerialNumber", "LensSerialNumber", "CameraOwnerName")]
    + [(PHOTOSHOP, name) for name in ("DocumentAncestors", "History", "City", "State", "Country")]
    + [(IPTC_CORE, "Location"), (IPTC_CORE, "CountryCode"), (EXIF, "ImageUniqueID")]
    + [(IPTC_EXT, name) for name in ("LocationCreated", "LocationShown", "DigImageGUID", "PersonInImage")]
)


def parse_packet(packet: bytes | None) -> Document | None:
    """Parse a packet; None when there is none or it cannot be trusted or understood."""
    if not packet or len(packet) > MAX_PACKET:
        return None
    text = _decoded(packet)
    if text is None or re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        return None
    text = re.sub(r"<\?(xml|xpacket)\b.*?\?>", "", text, flags=re.DOTALL).strip("\ufeff\0 \t\r\n")
    try:
        document = minidom.parseString(text.encode("utf-8"))
        return document if next(rdf_descriptions(document), None) is not None else None
    except (ExpatError, ValueError, RecursionError, AttributeError, LookupError):
        return None


def _decoded(packet: bytes) -> str | None:
    if packet.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in packet[:4]:
        encoding = "utf-16-be" if packet[0] == 0 else "utf-16-le"
    else:
        encoding = "utf-8"
    try:
        return packet.decode(encoding)
    except UnicodeDecodeError:
        return None


def rdf_descriptions(document: Document) -> Iterator[Element]:
    """The top descriptions, which hold the properties as attributes or child elements."""
    for root in document.getElementsByTagNameNS(RDF, "RDF"):
        for child in root.childNodes:
            if isinstance(child, Element) and (child.namespaceURI, child.localName) == (RDF, "Description"):
                yield child


def cleaned_packet(document: Document, *, private: bool, size: tuple[int, int]) -> None:
    """Drop embedded pictures, reset the orientation and correct the size, in place.

    Args:
        document: a parsed packet.
        private: whether to drop place, serial numbers, ids, history and face regions as well.
        size: (width, height) of the picture that is written.
    """
    _drop(_root(document), private=private)
    corrected = {(TIFF, "Orientation"): 1, (TIFF, "ImageWidth"): size[0], (TIFF, "ImageLength"): size[1]}
    corrected |= {(EXIF, "PixelXDimension"): size[0], (EXIF, "PixelYDimension"): size[1]}
    for description in rdf_descriptions(document):
        for (space, name), value in corrected.items():
            if description.hasAttributeNS(space, name):
                description.getAttributeNodeNS(space, name).value = str(value)  # type: ignore[union-attr]
            for element in description.getElementsByTagNameNS(space, name):
                element.childNodes[:] = [document.createTextNode(str(value))]
    for element in document.getElementsByTagName("*"):  # Pillow looks for this name anywhere, whatever it stands for
        if element.hasAttribute(_ORIENTATION):
            element.setAttribute(_ORIENTATION, "1")
        if element.tagName == _ORIENTATION:
            element.childNodes[:] = [document.createTextNode("1")]


def _drop(element: Element, *, private: bool) -> None:
    for attribute in list(element.attributes.values()):
        if attribute.namespaceURI == XMLNS:
            continue
        if _unwanted(attribute.namespaceURI, attribute.localName, private) or holds_picture(attribute.value):
            element.removeAttributeNode(attribute)
    for child in list(element.childNodes):
        if not isinstance(child, Element):
            continue
        text = "".join(node.data for node in child.childNodes if node.nodeType == node.TEXT_NODE)
        if _unwanted(child.namespaceURI, child.localName, private) or holds_picture(text):
            element.removeChild(child)
        else:
            _drop(child, private=private)


def _unwanted(space: str | None, name: str | None, private: bool) -> bool:
    space, name = space or "", name or ""
    if (space, name) in STALE_NAMES or space.startswith(STALE_SPACES):
        return True
    if not private:
        return False
    return (space, name) in PRIVATE_NAMES or space.startswith(PRIVATE_SPACES) or (space == EXIF and name[:3] == "GPS")


def _root(document: Document) -> Element:
    root = document.documentElement
    assert root is not None  # a parsed document has one
    return root


def shrunk_packet(packet: bytes, limit: int) -> bytes:
    """The packet with its longest properties left out until it has at most `limit` bytes; empty when that fails."""
    document = parse_packet(packet)
    if document is None:
        return b""
    properties = [
        (len(node.toxml()), description, node)
        for description in rdf_descriptions(document)
        for node in description.childNodes
    ]
    for _, description, node in sorted(properties, key=lambda found: -found[0]):
        if len(packet) <= limit:
            break
        description.removeChild(node)
        packet = build_packet(document)
    return packet if len(packet) <= limit else b""


def build_packet(document: Document) -> bytes:
    """The packet in UTF-8 with its wrapper, without padding."""
    body = _root(document).toxml()
    wrapped = f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{body}<?xpacket end="w"?>'
    return wrapped.encode("utf-8")
