import io
from collections.abc import Callable

import numpy as np
import png
import pytest
import tifffile
from PIL import Image

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}


def drawn(channels: int, depth: int, size: tuple[int, int] = (23, 17)) -> np.ndarray:
    width, height = size
    levels = (1 << depth) - 1
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [(np.sin(x / (2 + c) + c) + np.cos(y / (3 + c)) + 2) / 4 for c in range(channels)]
    samples = np.stack(planes, axis=-1)
    if channels in (2, 4):
        samples[:4, :5, -1] = 0
        samples[4:8, :5, -1] = 1
    kind = np.uint8 if depth == 8 else np.uint16
    return np.rint(samples * levels).astype(kind)


def picture(kind: str, mode: str, depth: int = 8, **options: object) -> bytes:
    """The bytes of a small picture, written by Pillow, pypng or tifffile and never by the code under test."""
    stream = io.BytesIO()
    if mode in ("P", "1"):
        image = (
            Image.fromarray(drawn(3, 8)).quantize(16)
            if mode == "P"
            else Image.fromarray(drawn(1, 8)[..., 0]).convert("1")
        )
        image.save(stream, kind, **options)
        return stream.getvalue()
    samples = drawn(CHANNELS[mode], depth)
    if depth == 16 and kind == "PNG":
        rows = samples.reshape(len(samples), -1)
        png.from_array(rows, f"{mode};16", info=options).write(stream)
    elif kind == "TIFF":
        extra = {"planarconfig": "contig"} if samples.shape[2] > 1 else {}
        extra |= {"extrasamples": ["unassalpha"]} if mode in ("LA", "RGBA") else {}
        names = {"L": "minisblack", "LA": "minisblack", "CMYK": "separated"}
        data = samples[..., 0] if samples.shape[2] == 1 else samples
        tifffile.imwrite(stream, data, photometric=names.get(mode, "rgb"), metadata=None, **extra, **options)
    else:
        Image.fromarray(samples[..., 0] if mode == "L" else samples, mode if mode == "CMYK" else None).save(
            stream, kind, **options
        )
    return stream.getvalue()


@pytest.fixture(scope="session")
def make_picture() -> Callable[..., bytes]:
    return picture


@pytest.fixture(scope="session")
def make_samples() -> Callable[..., np.ndarray]:
    return drawn
