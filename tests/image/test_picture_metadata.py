import io
import struct
from xml.dom import minidom

import numpy as np
import png
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from cloak.errors import OutputError
from cloak.image import PROHIBITED_TRAINING, PictureDocument, encode_picture, read_notice, read_picture
from cloak.image.photoshop import build_resources, parse_resources, public_iptc
from cloak.image.xmp import parse_packet, shrunk_packet

XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
 xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" xmpMM:DocumentID="xmp.did:1234" tiff:Orientation="6"
 exif:GPSLatitude="50,1N" aux:SerialNumber="998877" xmp:CreatorTool="Krita">
<dc:creator><rdf:Seq><rdf:li>Zo\xc3\xab &amp; Co</rdf:li></rdf:Seq></dc:creator>
<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource">
<xmpGImg:image>/9j/4AAQthumb</xmpGImg:image></rdf:li></rdf:Alt>
</xmp:Thumbnails><xmpMM:History><rdf:Seq><rdf:li>saved</rdf:li></rdf:Seq></xmpMM:History>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
STRICT = XMP.replace(
    b' xmp:CreatorTool="Krita"',
    b' xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"',
)
CARRIERS = ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"]
THUMBNAIL = b"\xff\xd8\xff\xe0" + b"THUMBNAIL" * 20 + b"\xff\xd9"


def photo_exif():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Acme", "Mark 2"
    exif[0x013B], exif[0x8298] = "Zoe", "(c) Zoe"
    exif[0x0112], exif[0x013C] = 6, "zoes-laptop"
    photo = exif.get_ifd(0x8769)
    photo[0x829A] = IFDRational(1, 125)
    photo[0xA431], photo[0xA435], photo[0xA430] = "BODY-123", "LENS-456", "Zoe Owner"
    photo[0xA420], photo[0x927C] = "UNIQUE-ID-789", b"MAKERNOTE" * 8
    photo[0xA002], photo[0xA003] = 9999, 8888
    photo[0xA005] = {1: "R98"}
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (50.0, 6.0, 30.0)
    return exif


def exif_with_thumbnail():
    """An EXIF block whose second directory holds a JPEG, as cameras write it."""
    block = photo_exif().tobytes()[6:]
    entries = struct.pack(">HHIIHHII", 0x0201, 4, 1, len(block) + 30, 0x0202, 4, 1, len(THUMBNAIL))
    (first,) = struct.unpack_from(">I", block, 4)
    (count,) = struct.unpack_from(">H", block, first)
    link = first + 2 + 12 * count
    block = block[:link] + struct.pack(">I", len(block)) + block[link + 4 :]
    return b"Exif\0\0" + block + struct.pack(">H", 2) + entries + bytes(4) + THUMBNAIL


def with_metadata(kind, xmp=XMP, **options):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    stream = io.BytesIO()
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "surrogateescape"))
        info.add_text("Title", "Sea")
        info.add_text("parameters", "secret prompt", zip=True)
        options |= {"pnginfo": info}
    elif kind == "TIFF":
        options["exif"] = Image.Exif()
        options["exif"].load(photo_exif().tobytes())
        options["exif"][700] = xmp
    else:
        options |= {"xmp": xmp}
    image.save(stream, kind, **{"exif": exif_with_thumbnail(), "dpi": (300, 300), **options})
    return stream.getvalue()


def exif_of(data):
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        return dict(exif), dict(exif.get_ifd(0x8769)), dict(exif.get_ifd(0x8825)), dict(exif.get_ifd(1))


def rewritten(data, **options):
    document = read_picture(data)
    return encode_picture(document, document.pixels, **options)


@pytest.mark.parametrize("kind", CARRIERS)
def test_keep_carries_everything_but_the_thumbnail(kind):
    data = with_metadata(kind)
    written = rewritten(data, notice=False)
    main, photo, gps, thumbnail = exif_of(written)
    assert (main[0x010F], main[0x013B], main[0x8298]) == ("Acme", "Zoe", "(c) Zoe")
    assert main.get(0x0112, 1) == 1
    assert photo[0x829A] == IFDRational(1, 125)
    assert (photo[0xA431], photo[0x927C]) == ("BODY-123", b"MAKERNOTE" * 8)
    assert (photo[0xA002], photo[0xA003]) == read_picture(data).size
    assert gps[2] == (50.0, 6.0, 30.0)
    assert not thumbnail
    assert b"THUMBNAIL" not in written
    xmp = read_picture(written).metadata.xmp
    assert b"xmp.did:1234" in xmp
    assert "Zoë &amp; Co".encode() in xmp
    assert b'tiff:Orientation="6"' not in xmp
    assert b"Thumbnails" not in xmp
    assert read_notice(written) is None
    if kind in ("PNG", "JPEG", "TIFF"):
        assert read_picture(written).metadata.dpi == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("kind", CARRIERS)
def test_strip_private_removes_place_and_numbers(kind):
    written = rewritten(with_metadata(kind), metadata="strip-private")
    main, photo, gps, _ = exif_of(written)
    assert (main[0x010F], main[0x013B]) == ("Acme", "Zoe")
    assert 0x829A in photo
    assert not gps
    for secret in (b"zoes-laptop", b"BODY-123", b"LENS-456", b"Zoe Owner", b"UNIQUE-ID", b"MAKERNOTE", b"GPSLatitude"):
        assert secret not in written
    for secret in (b"998877", b"xmp.did", b"History", b"parameters"):
        assert secret not in written
    assert b"Krita" in read_picture(written).metadata.xmp


@pytest.mark.parametrize("kind", CARRIERS)
def test_strip_leaves_only_profile_and_notice(kind):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    written = rewritten(with_metadata(kind, icc_profile=icc), metadata="strip")
    again = read_picture(written)
    assert again.metadata.icc == icc
    assert not again.metadata.exif.photo
    assert not again.metadata.exif.gps
    assert b"Acme" not in written
    assert b"Krita" not in written
    assert read_notice(written) == PROHIBITED_TRAINING
    bare = rewritten(with_metadata(kind), metadata="strip", notice=False)
    assert read_picture(bare).metadata.xmp is None


@pytest.mark.parametrize("kind", CARRIERS)
def test_notice_is_added_once_and_the_rest_of_the_packet_stays(kind, tmp_path):
    once = rewritten(with_metadata(kind))
    twice = rewritten(once)
    for data in (once, twice):
        assert read_notice(data) == PROHIBITED_TRAINING
        xmp = read_picture(data).metadata.xmp
        assert xmp.count(b"DMI-PROHIBITED") == 1
        assert b"Krita" in xmp
        minidom.parseString(xmp.decode().split("?>", 1)[1].rsplit("<?", 1)[0])
    path = tmp_path / "picture.bin"
    path.write_bytes(once)
    assert read_notice(path) == PROHIBITED_TRAINING


def test_a_stricter_notice_is_not_weakened():
    assert read_notice(rewritten(with_metadata("PNG", xmp=STRICT))).endswith("DMI-PROHIBITED")


def test_a_notice_as_element_is_found_and_replaced():
    element = (
        b'<p:DataMining xmlns:p="http://ns.useplus.org/ldf/xmp/1.0/">http://x/DMI-ALLOWED</p:DataMining><dc:creator>'
    )
    data = with_metadata("JPEG", xmp=XMP.replace(b"<dc:creator>", element))
    assert read_notice(data) == "http://x/DMI-ALLOWED"
    written = rewritten(data)
    assert read_notice(written) == PROHIBITED_TRAINING
    assert b"DMI-ALLOWED" not in written


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta",
        b"not xml at all",
        b"<a/>",
        b"\xff\xfe\x00",
        b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>" + XMP.replace(b"Krita", b"&b;"),
        XMP.replace(b"<rdf:RDF", b"<!ENTITY lol 'lol'><rdf:RDF", 1),
        b"<a>" * 5000 + b"</a>" * 5000,
        XMP.replace(b"\xc3\xab", b"\xff"),
    ],
    ids=["cut", "text", "other-xml", "utf16", "doctype", "entity", "deep", "bad-utf8"],
)
def test_a_packet_that_cannot_be_merged_gives_way_to_a_fresh_one(packet):
    assert parse_packet(packet) is None
    written = rewritten(with_metadata("JPEG", xmp=packet))
    assert read_notice(written) == PROHIBITED_TRAINING
    assert b"Krita" not in written
    assert read_picture(rewritten(with_metadata("JPEG", xmp=packet), notice=False)).metadata.xmp is None


def test_utf16_packets_are_understood():
    text = XMP.decode().split("?>", 1)[1].rsplit("<?", 1)[0]
    assert parse_packet(text.encode("utf-16")) is not None
    assert parse_packet(text.encode("utf-16-be")) is not None


def test_a_packet_longer_than_a_jpeg_segment_loses_its_longest_property():
    long = XMP.replace(b"<dc:creator>", b"<dc:rights>" + b"r" * 70000 + b"</dc:rights><dc:creator>")
    written = rewritten(with_metadata("PNG", xmp=long), format="jpeg")
    xmp = read_picture(written).metadata.xmp
    assert b"rrrr" not in xmp
    assert b"Zo\xc3\xab" in xmp
    assert read_notice(written) == PROHIBITED_TRAINING
    assert shrunk_packet(XMP, 10) == b""


def test_xmp_survives_a_change_of_format():
    for target in ("png", "jpeg", "webp", "tiff"):
        written = rewritten(with_metadata("TIFF"), format=target)
        assert b"Krita" in read_picture(written).metadata.xmp
        assert exif_of(written)[0][0x010F] == "Acme"


def test_png_text_and_colour_chunks():
    data = with_metadata("PNG")
    extra = [(b"gAMA", struct.pack(">I", 45455)), (b"caBX", b"jumb" + b"C2PA" * 30), (b"prVW", b"\x89PNG preview")]
    extra += [
        (b"zTXt", b"Raw profile type exif\0\0xx"),
        (b"tEXt", b"Preview\0" + b"data:image/png;base64,iVBORw0KGgo" + b"A" * 90),
    ]
    chunks = list(png.Reader(bytes=data).chunks())
    stream = io.BytesIO()
    png.write_chunks(stream, [chunks[0], *extra, *chunks[1:]])
    kinds = [kind for kind, _ in png.Reader(bytes=rewritten(stream.getvalue())).chunks()]
    assert b"gAMA" in kinds
    assert b"caBX" not in kinds
    assert b"prVW" not in kinds
    written = rewritten(stream.getvalue())
    with Image.open(io.BytesIO(written)) as image:
        image.load()
        assert image.info["Title"] == "Sea"
        assert image.info["parameters"] == "secret prompt"
        assert "Preview" not in image.info
        assert image.info["gamma"] == pytest.approx(0.45455)


def iptc(*entries):
    return b"".join(struct.pack(">BBBH", 0x1C, *key, len(value)) + value for *key, value in entries)


RECORD = iptc((2, 80, b"Zoe"), (2, 90, b"Paris"), (2, 116, b"(c) Zoe"), (1, 100, b"UNO-1"))
RESOURCES = {0x0404: RECORD, 0x040C: b"\0" * 28 + THUMBNAIL, 0x0409: THUMBNAIL, 0x03ED: bytes(16), 0x0BB7: b"clip"}


def test_resources_round_trip_and_stop_at_damage():
    block = build_resources(RESOURCES)
    assert parse_resources(block) == RESOURCES
    for cut in range(0, len(block), 7):
        assert set(parse_resources(block[:cut])) <= set(RESOURCES)
    assert public_iptc(RECORD) == iptc((2, 80, b"Zoe"), (2, 116, b"(c) Zoe"))
    assert public_iptc(RECORD[:-3]) == public_iptc(RECORD)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_iptc_is_kept_and_photoshop_thumbnails_are_not(kind):
    block = build_resources(RESOURCES)
    if kind == "JPEG":
        segment = b"Photoshop 3.0\0" + block
        extra = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
        manifest = b"\xff\xeb" + struct.pack(">H", 30) + b"JP" + b"C2PA" * 6 + b"xx"
        data = with_metadata(kind, extra=extra + manifest)
    else:
        image = Image.new("RGB", (30, 20))
        stream = io.BytesIO()
        layers = b"Adobe Photoshop Document Data Block\0" + b"LAYERS" * 9
        image.save(stream, "TIFF", tiffinfo={34377: block, 33723: RECORD, 37724: layers})
        data = stream.getvalue()
    written = rewritten(data)
    kept = read_picture(written).metadata.resources
    assert kept == {number: RESOURCES[number] for number in (0x0404, 0x03ED, 0x0BB7)}
    for gone in (b"THUMBNAIL", b"LAYERS", b"C2PA"):
        assert gone not in written
    private = read_picture(rewritten(data, metadata="strip-private")).metadata.resources
    assert set(private) == {0x0404, 0x03ED}
    assert b"Paris" not in private[0x0404]
    assert b"Zoe" in private[0x0404]


def test_maker_notes_with_a_preview_go_and_oversized_exif_is_cut():
    exif = photo_exif()
    exif.get_ifd(0x8769)[0x927C] = b"Preview" + THUMBNAIL
    image = Image.new("RGB", (8, 8))
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    assert 0x927C not in exif_of(rewritten(stream.getvalue()))[1]
    exif.get_ifd(0x8769)[0x927C] = bytes(70000)
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    assert 0x927C in exif_of(rewritten(stream.getvalue()))[1]
    as_jpeg = exif_of(rewritten(stream.getvalue(), format="jpeg"))
    assert 0x927C not in as_jpeg[1]
    assert as_jpeg[0][0x010F] == "Acme"


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_does_not_stop_a_picture(block):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", exif=block)
    assert read_picture(rewritten(stream.getvalue())).size == (8, 8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_files_carry_metadata(make_picture, kind):
    document = read_picture(make_picture(kind, "RGB", 16))
    source = read_picture(with_metadata("PNG"))
    document = PictureDocument(**{**vars(document), "metadata": source.metadata})
    written = encode_picture(document, document.pixels)
    assert read_picture(written).bit_depth == 16
    assert exif_of(written)[0][0x010F] == "Acme"
    assert exif_of(written)[2][1] == "N"
    assert read_notice(written) == PROHIBITED_TRAINING
    assert b"Krita" in read_picture(written).metadata.xmp


def test_bmp_has_no_place_for_a_notice(make_picture):
    assert read_notice(rewritten(make_picture("BMP", "RGB"))) is None


def test_the_alpha_of_a_picture_is_not_lost_in_jpeg(make_picture):
    with pytest.raises(OutputError, match=r"transparency.*choose png"):
        rewritten(make_picture("PNG", "RGBA"), format="jpeg")
    opaque = Image.new("RGBA", (8, 8), (10, 200, 30, 255))
    assert read_picture(encode_picture(read_picture(opaque), read_picture(opaque).pixels, format="jpeg")).mode == "RGB"


def test_a_picture_too_wide_for_the_format_is_named():
    document = read_picture(Image.new("RGB", (16384, 1)), name="wide.png")
    with pytest.raises(OutputError, match=r"wide\.png \(16384 x 1\) cannot be written as WEBP"):
        encode_picture(document, document.pixels, format="webp")
