"""The no-AI-training notice: the PLUS data mining property in a picture's XMP.

References:
    PLUS License Data Format 2.0.1, "Data Mining"; IPTC Photo Metadata Standard 2023.1, "Data Mining".
"""

import io
from pathlib import Path
from xml.dom import minidom
from xml.dom.minidom import Document, Element

from PIL import Image

from cloak.image.sources import FORMATS, ReadLimits, decoding, load_bytes
from cloak.image.xmp import RDF, XMLNS, parse_packet, rdf_descriptions

__all__ = ["PROHIBITED_TRAINING", "add_notice", "fresh_packet", "notice_in", "read_notice"]

PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
PROHIBITED_TRAINING = VOCABULARY + "DMI-PROHIBITED-AIMLTRAINING"
# These already forbid training and more; a notice never weakens what is there.
STRICTER = frozenset(VOCABULARY + name for name in ("DMI-PROHIBITED", "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING"))
EMPTY = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
)


def fresh_packet() -> Document:
    """A packet without any property."""
    return minidom.parseString(EMPTY)


def notice_in(document: Document | None) -> str | None:
    """The data mining value of a packet, None when it has none."""
    for description in rdf_descriptions(document) if document else ():
        if value := description.getAttributeNS(PLUS, "DataMining").strip():
            return value
        for element in _elements(description):
            text = "".join(node.data for node in element.childNodes if node.nodeType == node.TEXT_NODE)
            if value := element.getAttributeNS(RDF, "resource") or text.strip():
                return value
    return None


def add_notice(document: Document) -> None:
    """State in a packet that training is prohibited, unless it states something stricter; the rest stays as it is."""
    if notice_in(document) in STRICTER:
        return
    descriptions = list(rdf_descriptions(document))
    for description in descriptions:
        if description.hasAttributeNS(PLUS, "DataMining"):
            description.removeAttributeNS(PLUS, "DataMining")
        for element in _elements(description):
            description.removeChild(element)
    prefix = _free_prefix(document)
    descriptions[0].setAttributeNS(XMLNS, f"xmlns:{prefix}", PLUS)
    descriptions[0].setAttributeNS(PLUS, f"{prefix}:DataMining", PROHIBITED_TRAINING)


def _free_prefix(document: Document) -> str:
    """A prefix that no element binds to another name space."""
    bound = [element.getAttribute("xmlns:plus") for element in document.getElementsByTagName("*")]
    return "plus" if all(space in ("", PLUS) for space in bound) else "plusLdf"


def _elements(description: Element) -> list[Element]:
    children = [node for node in description.childNodes if isinstance(node, Element)]
    return [node for node in children if (node.namespaceURI, node.localName) == (PLUS, "DataMining")]


def read_notice(source: Path | str | bytes) -> str | None:
    """The data mining value that a picture carries, e.g. `PROHIBITED_TRAINING`; None when it says nothing.

    Args:
        source: a path, or the bytes of a file.

    Raises:
        InputError: the file cannot be read or is not a picture.
    """
    loaded = load_bytes(source, None, ReadLimits())
    with (
        decoding(loaded.label, ReadLimits(), loaded.data),
        Image.open(io.BytesIO(loaded.data), formats=FORMATS) as image,
    ):
        packet = xmp_of(image)
    return notice_in(parse_packet(packet))


def xmp_of(image: Image.Image) -> bytes | None:
    """The XMP packet that Pillow found, None when there is none."""
    packet = image.info.get("xmp")
    if isinstance(packet, str):
        packet = packet.encode("utf-8")
    return packet if isinstance(packet, bytes) else None
