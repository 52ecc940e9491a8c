"""Sound files of every format, mutated: each ends as a picture that can be written again, or as one `InputError`.

What once broke is kept in corpus/. For a long search:
`pytest tests/malformed/test_mutated_files.py --hypothesis-profile long`.
"""

import contextlib
import functools
import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from cloak.errors import InputError
from cloak.image import ReadLimits, encode_picture, read_notice, read_picture
from cloak.image.photoshop import build_resources

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
LIMITS = ReadLimits(max_pixels=100_000)
PATIENCE = 20  # seconds for one file of a few thousand pixels, on a busy machine
SIDE = 12
LENGTHS = (0, 1, 2, 7, 8, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
PACKET = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"
 xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-ALLOWED">
<dc:creator xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Seq><rdf:li>Zo</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@functools.cache
def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@functools.cache
def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8298] = 6, "Acme", "(c) Zoe"
    photo, gps = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    photo[0x829A], photo[0x927C], photo[0xA002] = (1, 125), b"MAKERNOTE" * 4, 99
    photo[0xA005] = {1: "R98"}
    gps[1], gps[2] = "N", (50.0, 6.0, 30.0)
    return exif.tobytes()


def _picture(mode: str) -> Image.Image:
    samples = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE + 4, 4), np.uint8)
    image = Image.fromarray(samples)
    return image if mode == "RGBA" else image.convert("RGB").quantize(8) if mode == "P" else image.convert(mode)


def _stored(kind: str, mode: str, *, carry: bool = True, **options: object) -> bytes:
    """A file with all the metadata that its format holds."""
    stream = io.BytesIO()
    if carry and kind != "BMP":
        options |= {"exif": _exif(), "dpi": (300, 300)}
        options |= {"icc_profile": _profile()} if mode in ("RGB", "RGBA", "P") else {}
        options |= {"xmp": PACKET} if kind != "PNG" else {}
    if carry and kind == "JPEG":
        segment = b"Photoshop 3.0\0" + build_resources({0x0404: b"\x1c\2\x50\0\3Zoe", 0x03ED: bytes(16)})
        options["extra"] = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    _picture(mode).save(stream, kind, **options)
    return stream.getvalue()


def _deep(kind: str, channels: int) -> bytes:
    samples = np.random.default_rng(4).integers(0, 65536, (SIDE, SIDE + 4, channels), np.uint16)
    stream = io.BytesIO()
    if kind == "TIFF":
        extra = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
        photometric = "rgb" if channels > 2 else "minisblack"
        tifffile.imwrite(stream, samples, photometric=photometric, planarconfig="contig", metadata=None, **extra)
        return stream.getvalue()
    header = struct.pack(">IIBBBBB", SIDE + 4, SIDE, 16, {3: 2, 4: 6, 2: 4}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    chunks = [_chunk(b"IHDR", header), _chunk(b"iCCP", b"p\0\0" + zlib.compress(_profile()))]
    chunks += [_chunk(b"eXIf", _exif()[6:]), _chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + PACKET)]
    return _SIGNATURE + b"".join([*chunks, _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")])


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAKERS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: _stored("PNG", "RGB"),
    "palette PNG": lambda: _stored("PNG", "P", transparency=1),
    "16-bit PNG": lambda: _deep("PNG", 4),
    "JPEG": lambda: _stored("JPEG", "RGB", comment=b"made by Zoe"),
    "progressive JPEG": lambda: _stored("JPEG", "L", progressive=True),
    "CMYK JPEG": lambda: _stored("JPEG", "CMYK"),
    "WebP": lambda: _stored("WEBP", "RGBA"),
    "lossless WebP": lambda: _stored("WEBP", "RGB", lossless=True),
    "TIFF": lambda: _stored("TIFF", "RGB"),
    "packed TIFF": lambda: _stored("TIFF", "RGBA", carry=False, compression="tiff_lzw"),
    "16-bit TIFF": lambda: _deep("TIFF", 3),
    "16-bit grey TIFF with alpha": lambda: _deep("TIFF", 2),
    "AVIF": lambda: _stored("AVIF", "RGB"),
    "BMP": lambda: _stored("BMP", "RGB"),
}


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, place = [], len(_SIGNATURE)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        chunks.append((kind, data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def _flip(data: bytearray, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
    reach = draw(st.sampled_from([16, 64, 256, len(data)]))
    data[draw(st.integers(0, min(reach, len(data)) - 1))] ^= 1 << draw(st.integers(0, 7))


def _lie(data: bytearray, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
    """Put an odd number where a length or an offset may be."""
    form = draw(st.sampled_from(["<H", ">H", "<I", ">I"]))
    place = draw(st.integers(0, len(data) - 1))
    number = draw(st.sampled_from(LENGTHS)) % (1 << 8 * struct.calcsize(form))
    data[place : place + struct.calcsize(form)] = struct.pack(form, number)


def _cut(data: bytearray, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
    del data[draw(st.integers(1, len(data))) :]


def _drop(data: bytearray, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
    place = draw(st.integers(0, len(data) - 1))
    del data[place : place + draw(st.integers(1, 40))]


def _repeat(data: bytearray, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
    place = draw(st.integers(0, len(data) - 1))
    data[place:place] = data[place : place + draw(st.integers(1, 60))]


def _garbage(data: bytearray, draw: Callable[[st.SearchStrategy[bytes]], bytes]) -> None:
    junk = draw(st.binary(min_size=1, max_size=24))
    place = len(junk) * 7919 % len(data)
    data[place : place + len(junk)] = junk


@st.composite
def mutated(draw, sound: bytes) -> bytes:
    """`sound` with one to six changes."""
    data = bytearray(sound)
    kinds = st.sampled_from([_flip, _flip, _lie, _lie, _cut, _drop, _repeat, _garbage])
    for change in draw(st.lists(kinds, min_size=1, max_size=6)):
        if data:
            change(data, draw)
    return bytes(data)


@st.composite
def mutated_file(draw, kind: str) -> bytes:
    """A mutated file; of a PNG, rather a chunk whose checksum is right again, since others are refused at once."""
    sound = _sound(kind)
    if "PNG" not in kind or draw(st.integers(0, 4)) == 0:
        return draw(mutated(sound))
    chunks = _png_chunks(sound)
    place = draw(st.integers(0, len(chunks) - 1))
    name, payload = chunks[place]
    payload = _inside(name, payload, lambda content: draw(mutated(content)))
    return _SIGNATURE + b"".join(_chunk(*each) for each in [*chunks[:place], (name, payload), *chunks[place + 1 :]])


def _inside(name: bytes, payload: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change what a chunk holds rather than its compressed form."""
    if name == b"IDAT":
        return zlib.compress(change(zlib.decompress(payload)))
    if name == b"iCCP":
        head, _, packed = payload.partition(b"\0\0")
        return head + b"\0\0" + zlib.compress(change(zlib.decompress(packed)))
    return change(payload) if payload else b"x"


@st.composite
def garbage_metadata(draw, kind: str) -> bytes:
    """A sound picture whose EXIF, XMP or profile is nonsense."""
    exif, profile, packet = _exif()[6:], _profile(), PACKET
    broken = ["profile", "packet"] if kind == "AVIF" else ["exif", "profile", "packet"]  # Pillow reads what it writes
    which = draw(st.sampled_from(broken))
    exif = draw(mutated(exif)) if which == "exif" else exif
    profile = draw(mutated(profile)) if which == "profile" else profile
    packet = draw(mutated(packet)) if which == "packet" else packet
    options = {"exif": b"Exif\0\0" + exif, "icc_profile": profile, "xmp": packet}
    stream = io.BytesIO()
    mode = draw(st.sampled_from(["RGB", "L"] if kind in ("JPEG", "AVIF") else ["RGB", "RGBA"]))
    _picture(mode).save(stream, kind, **options)
    return stream.getvalue()


@functools.cache
def _sound(kind: str) -> bytes:
    return MAKERS[kind]()


def check(data: bytes) -> None:
    """What holds for any bytes."""
    begun = time.perf_counter()
    try:
        document = read_picture(data, name="a.png", limits=LIMITS)
    except InputError as error:
        said = str(error)
        assert said.endswith(".")
        assert len(said) < 400
        assert "\n" not in said
        _quiet_notice(data)
        return
    width, height = document.size
    assert document.pixels.shape == (1, 3, height, width)
    assert bool(torch.isfinite(document.pixels).all())
    assert 0 <= float(document.pixels.min()) <= float(document.pixels.max()) <= 1
    for policy in ("keep", "strip-private", "strip"):
        written = encode_picture(document, document.pixels, metadata=policy)
        again = read_picture(written)
        assert (again.size, again.format) == (document.size, document.format)
        if document.lossless:
            assert np.array_equal(again.raster.samples, document.raster.samples)
    if document.raster.alpha is None or document.format != "jpeg":
        encode_picture(document, document.pixels, format="png", notice=False)
    _quiet_notice(data)
    assert time.perf_counter() - begun < PATIENCE


def _quiet_notice(data: bytes) -> None:
    with contextlib.suppress(InputError):
        read_notice(data)


@pytest.fixture(scope="module")
def last_file(tmp_path_factory) -> Path:
    """Where each file lies before it is read, for when a decoder takes the whole process down."""
    return tmp_path_factory.mktemp("mutated") / "last"


search = settings(
    max_examples=max(20, settings().max_examples // 5), deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_sound_file_is_read(kind):
    document = read_picture(_sound(kind))
    assert document.raster.samples.size
    check(_sound(kind))


@pytest.mark.parametrize("kind", MAKERS)
def test_mutated_files(kind, last_file):
    @search
    @given(data=mutated_file(kind))
    def holds(data):
        last_file.write_bytes(data)
        check(data)

    holds()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_garbage_metadata_does_not_cost_the_picture(kind, last_file):
    @search
    @given(data=garbage_metadata(kind))
    def holds(data):
        last_file.write_bytes(data)
        read_picture(data)
        check(data)

    holds()


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_once_broke(path):
    check(path.read_bytes())
