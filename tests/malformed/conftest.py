"""Small pictures of every format, and files that only look like pictures, all made from a seed."""

import io
import os
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

SIDE = 24
BAD_COUNT = 200

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def _samples(seed: int, channels: int = 3) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, channels), dtype=np.uint8)
    planes = [Image.fromarray(coarse[..., c]).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for c in range(channels)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def _stored(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _wide_tiff() -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, _samples(5).astype(np.uint16) * 257, photometric="rgb", metadata=None)
    return stream.getvalue()


def _sound() -> dict[str, bytes]:
    """A sound file of every kind, by extension."""
    rgb, rgba = Image.fromarray(_samples(1)), Image.fromarray(_samples(2, 4))
    return {
        "rgb.png": _stored(rgb, "PNG"),
        "palette.png": _stored(rgb.quantize(16), "PNG"),
        "alpha.png": _stored(rgba, "PNG"),
        "wide.png": _stored(Image.fromarray(_samples(3)[..., 0].astype(np.uint16) * 257), "PNG"),
        "rgb.jpg": _stored(rgb, "JPEG", quality=92),
        "grey.jpeg": _stored(rgb.convert("L"), "JPEG"),
        "cmyk.jpg": _stored(rgb.convert("CMYK"), "JPEG"),
        "lossy.webp": _stored(rgb, "WEBP"),
        "lossless.webp": _stored(rgba, "WEBP", lossless=True),
        "rgb.tif": _stored(rgb, "TIFF"),
        "packed.tif": _stored(rgb, "TIFF", compression="tiff_lzw"),
        "wide.tiff": _wide_tiff(),
        "rgb.bmp": _stored(rgb, "BMP"),
    }


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def _png(width: int, height: int, *, before: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return _PNG_HEAD + header + before + _chunk(b"IDAT", zlib.compress(bytes(64))) + _chunk(b"IEND", b"")


def _bombs(sound: dict[str, bytes]) -> dict[str, bytes]:
    """Heads that promise far more than the file holds."""
    jpeg = re.sub(
        rb"(\xff\xc0..\x08)....", lambda found: found[1] + b"\xff\xf0\xff\xf0", sound["rgb.jpg"], flags=re.DOTALL
    )
    bmp = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
    return {
        "bomb.png": _png(30_000, 30_000),
        "bomb 31 bit.png": _png(2**31 - 1, 2**31 - 1),
        "bomb nothing.png": _png(0, 0),
        "bomb text.png": _png(4, 4, before=_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000)))),
        "bomb jpeg.jpg": jpeg,
        "bomb bmp.bmp": bmp,
        "bomb webp.webp": sound["lossless.webp"][:21] + b"\xff\xff\xff\x0f" + sound["lossless.webp"][25:],
    }


def _pretenders() -> dict[str, bytes]:
    """Other kinds of files under the name of a picture."""
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "green", "blue")]
    several = {"save_all": True, "append_images": frames[1:]}
    return {
        "letter.png": b"Dear editor, the picture is attached.\n" * 9,
        "page.jpg": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "document.jpg": b"%PDF-1.7\n" + bytes(200),
        "layers.png": b"8BPS\0\1" + bytes(200),
        "archive.webp": b"PK\3\4" + bytes(200),
        "photo.jpg": b"\0\0\0\x18ftypheic" + bytes(200),
        "zeros.png": bytes(4096),
        "noise.tif": random.Random(4).randbytes(4096),
        "head only.png": _PNG_HEAD,
        "moving gif.png": _stored(frames[0], "GIF", **several),
        "still gif.jpg": _stored(frames[0], "GIF"),
        "moving png.png": _stored(frames[0], "PNG", **several),
        "moving webp.webp": _stored(frames[0], "WEBP", **several),
        "pages.tif": _stored(frames[0], "TIFF", **several),
        "floats.tif": _stored(Image.new("F", (SIDE, SIDE), 0.5), "TIFF"),
        "icon.png": _stored(frames[0], "ICO"),
        "empty.png": b"",
        "empty photo.jpg": b"",
        "[bold]odd :name: ü.png": b"not a picture",
    }


def _write_places(folder: Path) -> Iterator[Path]:
    """Names of pictures that are not even files."""
    for name in ("folder.png", "full folder.jpg"):
        (folder / name).mkdir()
        yield folder / name
    (folder / "full folder.jpg" / "inside.png").write_bytes(_png(4, 4))
    links = {"loop.png": "loop.png", "there.png": "back.png", "back.png": "there.png", "nowhere.png": "gone.png"}
    for name, target in links.items():
        (folder / name).symlink_to(folder / target)
        yield folder / name
    (folder / "to folder.png").symlink_to(folder / "folder.png", target_is_directory=True)
    yield folder / "to folder.png"
    yield folder / "missing.png"
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.png")
        yield folder / "pipe.png"


def _damaged(sound: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Endlessly many sound files with their end cut off or with flipped bits, most of them in the head."""
    draw = random.Random(11)
    for number in range(100_000):
        name = draw.choice(sorted(sound))
        data = bytearray(sound[name])
        if number % 2:
            del data[draw.randrange(1, len(data)) :]
        else:
            reach = min(len(data), draw.choice([16, 64, 200]))
            for _ in range(draw.choice([1, 2, 8, 30])):
                data[draw.randrange(reach)] ^= 1 << draw.randrange(8)
        yield f"{'cut' if number % 2 else 'flipped'} {number} {name}", bytes(data)


@pytest.fixture(scope="session")
def good_pictures() -> dict[str, bytes]:
    """Three sound pictures, by file name."""
    sound = _sound()
    return {"good 1.png": sound["rgb.png"], "good 2.jpg": sound["rgb.jpg"], "good 3.webp": sound["lossless.webp"]}


@pytest.fixture
def write_bad_files() -> Callable[[Path, Callable[[Path], bool]], list[Path]]:
    """Writes 200 files that are no pictures into a folder; a function tells whether a damaged one still is one."""

    def write(folder: Path, is_readable: Callable[[Path], bool]) -> list[Path]:
        sound = _sound()
        written = list(_write_places(folder))
        for name, data in {**_bombs(sound), **_pretenders()}.items():
            (folder / name).write_bytes(data)
            written.append(folder / name)
        for name, data in _damaged(sound):
            if len(written) == BAD_COUNT:
                break
            path = folder / name
            path.write_bytes(data)
            if is_readable(path):
                path.unlink()
            else:
                written.append(path)
        return written

    return write
