import io
import os
import random
import re
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from cloak.errors import InputError
from cloak.image import PictureDocument, ReadLimits, encode_picture, read_notice, read_picture

SEEDS = [
    ("PNG", "RGB", 8),
    ("PNG", "P", 8),
    ("PNG", "RGBA", 16),
    ("PNG", "LA", 16),
    ("JPEG", "RGB", 8),
    ("JPEG", "CMYK", 8),
    ("WEBP", "RGBA", 8),
    ("TIFF", "RGB", 8),
    ("TIFF", "RGB", 16),
    ("TIFF", "LA", 16),
    ("AVIF", "RGB", 8),
    ("BMP", "RGB", 8),
]


def read_or_refuse(data):
    """A document that can be written, or one sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            document = read_picture(data, name="art.png")
        except InputError as error:
            assert_sentence(error)
            return None
        assert isinstance(document, PictureDocument)
        assert document.pixels.shape[2:] == document.size[::-1]
        encode_picture(document, document.pixels)
        return document


def assert_sentence(error, name="art.png"):
    text = str(error)
    assert name in text
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 400
    assert re.search(r"[;:,] (\w+)", text), "says what to do"


@pytest.mark.parametrize(("kind", "mode", "depth"), SEEDS)
def test_cut_files_are_refused(make_picture, kind, mode, depth):
    data = make_picture(kind, mode, depth)
    for cut in sorted({1, 4, 8, 12, *(len(data) * part // 9 for part in range(1, 9)), len(data) - 9}):
        read_or_refuse(data[:cut])
    assert read_or_refuse(data[: len(data) // 2]) is None


@pytest.mark.parametrize(("kind", "mode", "depth"), SEEDS)
def test_flipped_bits_give_a_document_or_one_sentence(make_picture, kind, mode, depth):
    data = make_picture(kind, mode, depth)
    draw = random.Random(f"{kind}{mode}{depth}")
    for _ in range(16):
        broken = bytearray(data)
        reach = len(data) if draw.random() < 0.5 else min(len(data), 200)
        for _ in range(draw.choice([1, 2, 8])):
            broken[draw.randrange(reach)] ^= 1 << draw.randrange(8)
        read_or_refuse(bytes(broken))


@pytest.mark.parametrize(("kind", "mode", "depth"), SEEDS)
def test_rubbish_after_a_valid_head(make_picture, kind, mode, depth):
    data = make_picture(kind, mode, depth)
    draw = random.Random(7)
    for keep in (8, 30, 60):
        read_or_refuse(data[:keep] + draw.randbytes(300))
    read_or_refuse(data + draw.randbytes(300))


def chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_claiming(width, height):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")


def bombs():
    yield png_claiming(30_000, 30_000)
    yield png_claiming(2**31 - 1, 2**31 - 1)
    yield b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
    jpeg = io.BytesIO()
    Image.new("RGB", (16, 16)).save(jpeg, "JPEG")
    yield re.sub(
        rb"(\xff\xc0..\x08)....", lambda found: found[1] + b"\xff\xf0\xff\xf0", jpeg.getvalue(), flags=re.DOTALL
    )
    tiff = io.BytesIO()
    tifffile.imwrite(
        tiff, np.zeros((4, 4, 2), np.uint16), photometric="minisblack", planarconfig="contig", metadata=None
    )
    for tag in (256, 257):
        entry = tiff.getvalue().index(struct.pack("<HHI", tag, 4, 1)) + 8
        tiff = io.BytesIO(tiff.getvalue()[:entry] + struct.pack("<I", 60000) + tiff.getvalue()[entry + 4 :])
    yield tiff.getvalue()
    webp = io.BytesIO()
    Image.new("RGBA", (16, 16)).save(webp, "WEBP", lossless=True)
    yield webp.getvalue()[:21] + b"\xff\xff\xff\x0f" + webp.getvalue()[25:]
    huge_text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000)))
    yield png_claiming(4, 4)[:33] + huge_text + png_claiming(4, 4)[33:]


@pytest.mark.parametrize("data", list(bombs()), ids=["png", "png-31-bit", "bmp", "jpeg", "tiff", "webp", "text"])
def test_bombs_are_refused_before_they_are_decoded(data):
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_or_refuse(data) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"GIF89a" + bytes(60), "a GIF"),
        (b"8BPS\0\1" + bytes(60), "Photoshop"),
        (b"%PDF-1.7" + bytes(60), "a PDF"),
        (b"\n <svg xmlns='x'/>", "an SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"PK\3\4" + bytes(60), "Krita"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "HEIF"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"\0\0\1\0" + bytes(60), "an icon"),
        (b"\xff\x0a" + bytes(60), "JPEG XL"),
        (b"hello, this is a letter", "not a picture"),
        (bytes(1000), "not a picture"),
    ],
)
def test_other_files_are_called_what_they_are(data, kind):
    with pytest.raises(InputError, match=kind) as caught:
        read_picture(data, name="art.png")
    assert_sentence(caught.value)
    with pytest.raises(InputError):
        read_notice(data)


def test_a_limit_on_pixels_and_on_bytes(make_picture, tmp_path):
    data = make_picture("PNG", "RGB")
    assert read_picture(data, limits=ReadLimits(max_pixels=23 * 17)).size == (23, 17)
    path = tmp_path / "art.png"
    path.write_bytes(data)
    for limits in (ReadLimits(max_pixels=23 * 17 - 1), ReadLimits(max_bytes=len(data) - 1)):
        for source in (data, path, str(path), Image.new("RGB", (300, 300))):
            if isinstance(source, Image.Image) and limits.max_bytes < 1000:
                continue
            with pytest.raises(InputError, match="too large") as caught:
                read_picture(source, limits=limits, name="art.png")
            assert_sentence(caught.value)


def test_more_pixels_than_pillows_own_limit_are_allowed_when_asked(monkeypatch, make_picture):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = make_picture("PNG", "RGB")
    assert read_or_refuse(data) is not None
    assert read_or_refuse(make_picture("JPEG", "RGB")[:-40]) is None
    assert Image.MAX_IMAGE_PIXELS == 10
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_animations_and_several_pages_are_refused(kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"animated|several pages") as caught:
        read_picture(stream.getvalue(), name="art.png")
    assert_sentence(caught.value)


def test_the_first_picture_of_an_mpo_is_read_as_jpeg():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    stream = io.BytesIO()
    frames[0].save(stream, "MPO", save_all=True, append_images=frames[1:])
    document = read_picture(stream.getvalue())
    assert (document.format, document.size) == ("jpeg", (16, 16))
    assert document.pixels[0, 0].mean() > 0.9


def test_a_tiff_may_hold_smaller_copies_of_its_page():
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(np.full((16, 16, 3), 200, np.uint8), photometric="rgb", metadata=None)
        writer.write(np.zeros((8, 8, 3), np.uint8), photometric="rgb", subfiletype=1, metadata=None)
    assert read_picture(stream.getvalue()).size == (16, 16)


@pytest.mark.parametrize("kind", [np.float32, np.uint32, np.int16, np.float16])
def test_other_depths_are_refused(kind):
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.ones((8, 8), kind), photometric="minisblack", metadata=None)
    with pytest.raises(InputError) as caught:
        read_picture(stream.getvalue(), name="art.png")
    assert_sentence(caught.value)
    with pytest.raises(InputError, match="convert it to RGB"):
        read_picture(Image.new("F", (4, 4)), name="art.png")


def test_content_decides_not_the_name(make_picture, tmp_path):
    path = tmp_path / "art.png"
    path.write_bytes(make_picture("JPEG", "RGB"))
    document = read_picture(path)
    assert (document.format, document.name) == ("jpeg", "art.png")


def refused(path):
    with pytest.raises(InputError) as caught:
        read_picture(path)
    return str(caught.value)


def test_paths_that_are_no_files(tmp_path):
    assert "does not exist" in refused(tmp_path / "missing.png")
    assert "is a folder" in refused(tmp_path)
    empty = tmp_path / "empty.png"
    empty.touch()
    assert "is empty" in refused(empty)
    assert "is a file" in refused(empty / "under.png")
    assert "cannot be read" in refused("nul\0byte.png")
    assert "cannot be read" in refused(tmp_path / ("x" * 400))
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    assert "leads back to itself" in refused(loop)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "not a regular file" in refused(tmp_path / "pipe")


def test_a_file_without_permission(tmp_path, monkeypatch, make_picture):
    path = tmp_path / "art.png"
    path.write_bytes(make_picture("PNG", "RGB"))

    def no_permission(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", no_permission)
    assert "may not be read" in refused(path)


@pytest.mark.parametrize(
    "fault", [MemoryError(), RecursionError("deep"), OverflowError("x"), struct.error("x"), EOFError()]
)
def test_whatever_a_decoder_raises_is_an_input_error(monkeypatch, make_picture, fault):
    def explode(*args, **kwargs):
        raise fault

    monkeypatch.setattr(ImageFile.ImageFile, "load", explode)
    assert read_or_refuse(make_picture("PNG", "RGB")) is None


def test_reading_does_not_alter_the_file(tmp_path, make_picture):
    path = tmp_path / "art.png"
    path.write_bytes(make_picture("PNG", "RGBA"))
    before = path.read_bytes(), path.stat().st_mtime_ns
    read_picture(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
