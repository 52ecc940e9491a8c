import io

import numpy as np
import png
import pytest
import tifffile
import torch
from PIL import Image, ImageOps

from cloak.image import PictureDocument, encode_picture, quantise, read_picture, settle

LOSSLESS = [
    ("PNG", "1", 8),
    ("PNG", "L", 8),
    ("PNG", "LA", 8),
    ("PNG", "P", 8),
    ("PNG", "RGB", 8),
    ("PNG", "RGBA", 8),
    ("PNG", "L", 16),
    ("PNG", "LA", 16),
    ("PNG", "RGB", 16),
    ("PNG", "RGBA", 16),
    ("TIFF", "L", 8),
    ("TIFF", "LA", 8),
    ("TIFF", "RGB", 8),
    ("TIFF", "RGBA", 8),
    ("TIFF", "CMYK", 8),
    ("TIFF", "L", 16),
    ("TIFF", "LA", 16),
    ("TIFF", "RGB", 16),
    ("TIFF", "RGBA", 16),
    ("TIFF", "CMYK", 16),
    ("BMP", "1", 8),
    ("BMP", "L", 8),
    ("BMP", "P", 8),
    ("BMP", "RGB", 8),
]


@pytest.mark.parametrize(("kind", "mode", "depth"), LOSSLESS)
def test_reads_every_bit_and_writes_it_back(make_picture, make_samples, kind, mode, depth):
    document = read_picture(make_picture(kind, mode, depth))
    assert (document.format, document.bit_depth, document.size) == (kind.lower(), depth, (23, 17))
    assert document.lossless
    if mode not in ("1", "P"):
        expected = make_samples({"L": 1, "LA": 2, "RGB": 3}.get(mode, 4), depth)
        alpha = expected[..., -1] if mode in ("LA", "RGBA") else None
        colour = expected[..., :-1] if alpha is not None else expected
        assert np.array_equal(document.raster.samples, colour)
        assert alpha is None or np.array_equal(document.raster.alpha, alpha)
    again = read_picture(encode_picture(document, document.pixels))
    assert (again.format, again.bit_depth) == (document.format, document.bit_depth)
    assert np.array_equal(again.raster.samples, document.raster.samples)
    assert again.pixels.equal(document.pixels)
    assert (again.alpha is None) == (document.alpha is None)
    if document.alpha is not None:
        assert np.array_equal(again.raster.alpha, document.raster.alpha)


def test_webp_lossless_stays_lossless_with_alpha(make_picture):
    document = read_picture(make_picture("WEBP", "RGBA", lossless=True, exact=True))
    assert document.lossless
    again = read_picture(encode_picture(document, document.pixels))
    assert again.pixels.equal(document.pixels)
    assert np.array_equal(again.raster.alpha, document.raster.alpha)


def test_bmp_with_alpha(make_picture, make_samples):
    source = read_picture(Image.fromarray(make_samples(4, 8)))
    document = PictureDocument(**{**vars(source), "format": "bmp"})
    again = read_picture(encode_picture(document, document.pixels))
    assert again.format == "bmp"
    assert again.pixels.equal(document.pixels)
    assert np.array_equal(again.raster.alpha, document.raster.alpha)


@pytest.mark.parametrize(("kind", "mode", "options"), [("WEBP", "RGBA", {"quality": 80}), ("AVIF", "RGBA", {})])
def test_lossy_formats_keep_alpha_exactly(make_picture, kind, mode, options):
    document = read_picture(make_picture(kind, mode, **options))
    assert not document.lossless
    again = read_picture(encode_picture(document, document.pixels))
    assert again.format == kind.lower()
    assert np.array_equal(again.raster.alpha, document.raster.alpha)
    visible = document.protectable.expand(1, 3, -1, -1)
    assert (again.pixels - document.pixels)[visible].abs().mean() < 0.02


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_keeps_mode_tables_and_high_quality(make_picture, mode):
    document = read_picture(make_picture("JPEG", mode, quality=95, subsampling=2))
    assert document.jpeg_quality == 95
    assert document.jpeg_subsampling == ("4:2:0" if mode == "RGB" else None)
    again = read_picture(encode_picture(document, document.pixels))
    assert (again.mode, again.jpeg_quality) == (mode, 95)
    assert again.jpeg.tables == document.jpeg.tables
    if mode == "RGB":
        assert again.jpeg_subsampling == "4:4:4"
    assert (again.pixels - document.pixels).abs().mean() < 0.01


def test_jpeg_quality_is_raised_to_90_unless_asked(make_picture):
    document = read_picture(make_picture("JPEG", "RGB", quality=60))
    assert document.jpeg_quality == 60
    assert read_picture(encode_picture(document, document.pixels)).jpeg_quality == 90
    assert read_picture(encode_picture(document, document.pixels, quality=70)).jpeg_quality == 70


@pytest.mark.parametrize("quality", [1, 20, 50, 75, 90, 95, 100])
def test_quality_estimate_is_exact_for_standard_tables(make_picture, quality):
    assert read_picture(make_picture("JPEG", "RGB", quality=quality)).jpeg_quality == quality


@pytest.mark.parametrize("progressive", [False, True])
def test_noise_at_full_quality_fits_the_jpeg_buffer(progressive):
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG", quality=100, progressive=progressive)
    document = read_picture(stream.getvalue())
    assert read_picture(encode_picture(document, document.pixels)).jpeg_quality == 100


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_changed_pixels_land_on_the_grid_and_hidden_ones_stay(make_picture, kind, depth):
    document = read_picture(make_picture(kind, "RGBA", depth))
    noise = torch.rand(document.pixels.shape, generator=torch.Generator().manual_seed(1)) * 0.1 - 0.05
    changed = (document.pixels + noise).clamp(0, 1)
    again = read_picture(encode_picture(document, changed))
    visible = document.protectable.expand(1, 3, -1, -1)
    assert again.pixels[visible].equal(quantise(changed, depth)[visible])
    hidden = document.raster.alpha == 0
    assert np.array_equal(again.raster.samples[hidden], document.raster.samples[hidden])
    assert np.array_equal(again.raster.alpha, document.raster.alpha)
    assert settle(document, changed).equal(again.pixels)


def test_other_readers_agree_on_16_bits(make_picture):
    document = read_picture(make_picture("PNG", "RGBA", 16))
    _, _, rows, _ = png.Reader(bytes=encode_picture(document, document.pixels)).asDirect()
    stored = np.vstack([np.asarray(row, np.uint16) for row in rows]).reshape(17, 23, 4)
    assert np.array_equal(stored[..., :3], document.raster.samples)
    document = read_picture(make_picture("TIFF", "RGB", 16))
    stored = tifffile.imread(io.BytesIO(encode_picture(document, document.pixels)))
    assert np.array_equal(stored, document.raster.samples)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("layout", ["strips", "tiles", "planes"])
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_16_bit_tiff_layouts(make_samples, byteorder, compression, layout, mode):
    samples = make_samples(len(mode), 16, (48, 32))
    stream = io.BytesIO()
    options = {"tile": (16, 16)} if layout == "tiles" else {"rowsperstrip": 5}
    data = np.moveaxis(samples, -1, 0) if layout == "planes" else samples
    options["planarconfig"] = "separate" if layout == "planes" else "contig"
    photometric = "rgb" if mode == "RGB" else "separated"
    tifffile.imwrite(
        stream, data, byteorder=byteorder, compression=compression, photometric=photometric, metadata=None, **options
    )
    assert np.array_equal(read_picture(stream.getvalue()).raster.samples, samples)


def test_16_bit_tiff_compressed_with_lzw_is_read_without_more_packages(make_samples):
    samples = make_samples(1, 16)[..., 0]
    stream = io.BytesIO()
    Image.fromarray(samples).save(stream, "TIFF", compression="tiff_lzw")
    document = read_picture(stream.getvalue())
    assert document.bit_depth == 16
    assert np.array_equal(document.raster.samples[..., 0], samples)


def test_associated_alpha_is_divided_out(make_samples):
    samples = make_samples(4, 16)
    alpha = samples[..., 3:].astype(np.uint32)
    stored = np.concatenate([(samples[..., :3] * alpha // 65535).astype(np.uint16), samples[..., 3:]], axis=2)
    stream = io.BytesIO()
    tifffile.imwrite(stream, stored, photometric="rgb", extrasamples=["assocalpha"], metadata=None)
    document = read_picture(stream.getvalue())
    solid = document.raster.alpha > 6000
    difference = np.abs(document.raster.samples.astype(int) - samples[..., :3])[solid]
    assert difference.max() <= 12
    assert np.array_equal(document.raster.alpha, samples[..., 3])


def test_white_is_zero_is_inverted_at_16_bits(make_samples):
    samples = make_samples(1, 16)[..., 0]
    stream = io.BytesIO()
    tifffile.imwrite(stream, 65535 - samples, photometric="miniswhite", metadata=None)
    assert np.array_equal(read_picture(stream.getvalue()).raster.samples[..., 0], samples)


@pytest.mark.parametrize("depth", [8, 16])
def test_colour_keys_become_alpha(make_samples, depth):
    samples = make_samples(3, depth)
    key = tuple(int(value) for value in samples[3, 4])
    stream = io.BytesIO()
    png.Writer(23, 17, greyscale=False, bitdepth=depth, transparent=key).write(stream, samples.reshape(17, -1))
    document = read_picture(stream.getvalue())
    assert document.alpha is not None
    assert np.array_equal(document.raster.alpha == 0, (samples == samples[3, 4]).all(axis=2))


def test_transparent_palette_and_grey_palette():
    image = Image.new("P", (4, 2))
    image.putpalette([0, 0, 0, 90, 90, 90, 255, 255, 255])
    image.putpixel((1, 0), 1)
    image.putpixel((2, 0), 2)
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=1)
    document = read_picture(stream.getvalue())
    assert document.is_grey
    assert document.mode == "P"
    assert document.protectable[0, 0, 0].tolist() == [True, False, True, True]
    again = read_picture(encode_picture(document, document.pixels))
    assert (again.format, again.mode) == ("png", "LA")
    assert again.pixels.equal(document.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_applied_once_and_reset(kind, orientation):
    y, x = np.mgrid[0:40, 0:64]
    image = Image.fromarray(np.stack([x * 4, y * 6, (x + y) * 2], axis=-1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    with Image.open(stream) as opened:
        opened.load()
        shown = np.asarray(opened if kind == "TIFF" else ImageOps.exif_transpose(opened))
    document = read_picture(stream.getvalue())
    assert document.size == shown.shape[1::-1]
    assert np.array_equal(document.raster.samples, shown)
    again = read_picture(encode_picture(document, document.pixels))
    assert again.size == document.size
    assert again.metadata.exif.orientation == 1
    assert (again.pixels - document.pixels).abs().mean() < 0.03


@pytest.mark.parametrize("choice", ["png", "jpeg", "webp", "tiff"])
@pytest.mark.parametrize(("kind", "mode", "depth"), [("PNG", "L", 16), ("TIFF", "CMYK", 8), ("PNG", "RGB", 16)])
def test_conversion_between_formats(make_picture, choice, kind, mode, depth):
    document = read_picture(make_picture(kind, mode, depth))
    assert document.output_format(choice) == choice
    again = read_picture(encode_picture(document, document.pixels, format=choice))
    assert again.format == choice
    assert (again.pixels - document.pixels).abs().mean() < 0.02
    if again.lossless:
        assert again.pixels.equal(settle(document, document.pixels, format=choice))


def test_quantise_matches_the_grid_of_the_reader():
    levels = torch.arange(65536, dtype=torch.float32)
    assert quantise(levels / 65535, 16).equal(torch.from_numpy(np.arange(65536, dtype=np.float32) / np.float32(65535)))
    assert quantise(torch.tensor([-1.0, 0.4, 2.0]), 8).equal(torch.tensor([0.0, 102 / 255, 1.0]))
    with pytest.raises(ValueError, match="8 or 16"):
        quantise(levels, 10)


def test_only_lossy_quality_and_shape_mistakes_are_refused(make_picture):
    document = read_picture(make_picture("PNG", "RGB"))
    with pytest.raises(ValueError, match="shape"):
        encode_picture(document, document.pixels[:, :, 1:])
    with pytest.raises(ValueError, match="finite"):
        encode_picture(document, document.pixels * float("nan"))
    with pytest.raises(ValueError, match="quality"):
        encode_picture(document, document.pixels, quality=101)


def test_pillow_pictures_are_read_exactly(make_samples):
    samples = make_samples(3, 8)
    for image in (
        Image.fromarray(samples),
        Image.fromarray(samples).convert("CMYK"),
        Image.fromarray(make_samples(1, 16)[..., 0]),
        Image.fromarray(make_samples(4, 8)).convert("RGBa"),
    ):
        document = read_picture(image, name="canvas")
        assert document.name == "canvas"
        assert document.size == image.size
    assert np.array_equal(read_picture(Image.fromarray(samples)).raster.samples, samples)
