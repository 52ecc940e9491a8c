from pathlib import Path

import pytest

from cloak.image import encode_picture, read_picture

FOLDER = Path(__file__).parents[2] / "examples"
EXPECTED = {
    "fox-cartoon.png": ("png", "RGB", 8, (512, 512)),
    "lighthouse-ink.png": ("png", "L", 8, (420, 560)),
    "lake-painting.jpg": ("jpeg", "RGB", 8, (640, 416)),
    "cat-sticker.png": ("png", "RGBA", 8, (317, 211)),
    "planet-poster.webp": ("webp", "RGB", 8, (400, 576)),
    "nebula-16bit.png": ("png", "RGB", 16, (256, 256)),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_example_is_as_described_and_survives_a_round_trip(name):
    document = read_picture(FOLDER / name)
    assert (document.format, document.mode, document.bit_depth, document.size) == EXPECTED[name]
    assert document.is_grey == (document.mode == "L")
    again = read_picture(encode_picture(document, document.pixels))
    assert again.pixels.equal(document.pixels) or not document.lossless
    assert (again.pixels - document.pixels).abs().mean() < 0.01


def test_examples_are_small_and_all_described():
    pictures = [path for path in FOLDER.iterdir() if path.suffix in (".png", ".jpg", ".webp")]
    assert {path.name for path in pictures} == set(EXPECTED)
    assert sum(path.stat().st_size for path in pictures) < 1_500_000
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(name in text for name in EXPECTED)
