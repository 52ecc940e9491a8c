import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from cloak.image import encode_picture, read_picture
from cloak.image.colour import MatrixColour, StandardColour, srgb_decode, srgb_encode
from cloak.image.colour_table import TableColour, measured_table, plain_cmyk_table
from cloak.image.icc import parse_matrix_profile
from cloak.image.profile import colour_space_of

D50 = (0.9642, 1.0, 0.8249)
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def xyz(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *[round(value * 65536) for value in values])


def curve(*values):
    return b"curv\0\0\0\0" + struct.pack(f">I{len(values)}H", len(values), *values)


def parametric(kind, *values):
    return b"para\0\0\0\0" + struct.pack(f">HH{len(values)}i", kind, 0, *[round(value * 65536) for value in values])


def profile(tags, space=b"RGB ", connection=b"XYZ ", kind=b"mntr"):
    tags = {b"wtpt": xyz(D50), b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78), **tags}
    header_end = 128 + 4 + 12 * len(tags)
    table, body = b"", b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, header_end + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s12s4s", 0, b"", 0x02400000, kind, space, connection, bytes(12), b"acsp")
    header = header + bytes(68 - len(header)) + xyz(D50)[8:]
    data = header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(data)) + data[4:]


def rgb_profile(primaries, tone):
    names = zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    return profile({**{name: xyz(v) for name, v in names}, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone)})


ADOBE_RGB = rgb_profile(ADOBE, curve(563))
SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
GREY_GAMMA = profile({b"kTRC": curve(round(1.8 * 256))}, space=b"GRAY")


def cmyk_profile(nodes=6):
    """A profile of a look-up table, CMYK to Lab, of somewhat dull inks."""
    axis = np.linspace(0, 1, nodes)
    c, m, y, k = np.meshgrid(axis, axis, axis, axis, indexing="ij")
    light = np.stack([(1 - 0.9 * c) * (1 - k), (1 - 0.9 * m) * (1 - k), (1 - 0.9 * y) * (1 - k)], axis=-1)
    linear = srgb_decode(light.astype(np.float32)) @ np.array(SRGB) / np.array(D50)
    f = np.cbrt(np.maximum(linear, 0.001))
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
    stored = np.clip(np.rint(np.stack([lab[..., 0] * 2.55, lab[..., 1] + 128, lab[..., 2] + 128], -1)), 0, 255)
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = (
        b"mft1\0\0\0\0" + bytes([4, 3, nodes, 0]) + identity + ramp * 4 + stored.astype(np.uint8).tobytes() + ramp * 3
    )
    return profile({b"A2B0": table}, space=b"CMYK", connection=b"Lab ", kind=b"prtr")


def picture_with(profile, mode="RGB", kind="PNG"):
    generator = np.random.default_rng(3)
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    samples = generator.integers(20, 230, (24, 32, channels), dtype=np.uint8)
    image = Image.fromarray(samples[..., 0] if channels == 1 else samples, mode if mode == "CMYK" else None)
    stream = io.BytesIO()
    image.save(stream, kind, icc_profile=profile)
    return stream.getvalue()


def moved_a_little(pixels, size=3 / 255):
    noise = torch.rand(pixels.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return (pixels + noise * size).clamp(0, 1)


def test_matrix_profile_agrees_with_littlecms():
    data = picture_with(ADOBE_RGB)
    with Image.open(io.BytesIO(data)) as image:
        source = ImageCms.ImageCmsProfile(io.BytesIO(ADOBE_RGB))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        reference = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), intent)
    document = read_picture(data)
    assert isinstance(document.colour, MatrixColour)
    shown = (document.pixels[0] * 255).round().permute(1, 2, 0).numpy()
    assert np.abs(shown - np.asarray(reference, float)).max() <= 2
    assert np.abs(shown - np.asarray(reference, float)).mean() < 0.25


@pytest.mark.parametrize(
    ("icc", "mode", "kind"),
    [(ADOBE_RGB, "RGB", "PNG"), (GREY_GAMMA, "L", "PNG"), (cmyk_profile(), "CMYK", "TIFF"), (None, "CMYK", "TIFF")],
    ids=["adobe", "grey", "cmyk", "cmyk-without-profile"],
)
def test_changes_go_back_and_unchanged_pixels_do_not_drift(icc, mode, kind):
    document = read_picture(picture_with(icc, mode, kind))
    assert not document.colour.exact
    unchanged = read_picture(encode_picture(document, document.pixels))
    assert np.array_equal(unchanged.raster.samples, document.raster.samples)
    assert unchanged.metadata.icc == icc
    assert unchanged.mode == mode
    changed = moved_a_little(document.pixels)
    if mode == "L":
        changed = changed[:, :1].expand(1, 3, -1, -1)
    again = read_picture(encode_picture(document, changed))
    inside = (document.pixels > 0.02) & (document.pixels < 0.98) & (document.pixels.amin(1, keepdim=True) > 0.02)
    error = (again.pixels - changed)[inside].abs()
    assert error.mean() < 0.6 / 255
    assert error.quantile(0.95) < 2 / 255


@pytest.mark.parametrize("tone", [SRGB_CURVE, parametric(0, 2.2), parametric(1, 2.4, 1 / 1.055, 0.055 / 1.055)])
def test_parametric_curves_rise_from_black_to_white(tone):
    parsed = parse_matrix_profile(rgb_profile(ADOBE, tone), 3)
    assert parsed is not None
    assert parsed.curves[0][-1] == pytest.approx(1, abs=1e-3)
    assert parsed.curves[0][0] == pytest.approx(0, abs=5e-3)


def test_an_srgb_profile_is_taken_as_srgb_and_kept():
    icc = rgb_profile(SRGB, SRGB_CURVE)
    document = read_picture(picture_with(icc))
    assert isinstance(document.colour, StandardColour)
    again = read_picture(encode_picture(document, document.pixels))
    assert again.pixels.equal(document.pixels)
    assert again.metadata.icc == icc
    assert isinstance(
        colour_space_of(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), 3), StandardColour
    )


@pytest.mark.parametrize("icc", [b"", b"junk", ADOBE_RGB[:150], ADOBE_RGB.replace(b"curv", b"nope"), GREY_GAMMA])
def test_a_broken_or_foreign_profile_is_passed_over(icc):
    assert isinstance(colour_space_of(icc, 3), StandardColour)


def test_profile_follows_only_where_the_colour_space_stays():
    document = read_picture(picture_with(cmyk_profile(), "CMYK", "TIFF"))
    as_png = read_picture(encode_picture(document, document.pixels, format="png"))
    assert as_png.metadata.icc is None
    assert (as_png.pixels - document.pixels).abs().max() <= 0.51 / 255
    grey = read_picture(picture_with(GREY_GAMMA, "L"))
    as_webp = read_picture(encode_picture(grey, grey.pixels, format="webp"))
    assert as_webp.metadata.icc is None
    assert (as_webp.pixels - grey.pixels).abs().max() <= 0.51 / 255


def test_srgb_curve_and_its_inverse():
    x = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.abs(srgb_encode(srgb_decode(x)) - x).max() < 1e-5


def test_tables_interpolate_exactly_on_their_nodes_and_linearly_between():
    table = plain_cmyk_table()
    inks = np.array([[0.2, 0.4, 0.6, 0], [0, 0, 0, 1], [1, 0, 0, 0]], np.float32)
    expected = (1 - inks[:, :3]) * (1 - inks[:, 3:])
    assert np.abs(table.to_srgb(inks) - expected).max() < 1e-5
    line = TableColour(np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[:, None], 3, axis=1))
    x = np.random.default_rng(0).random((50, 1), np.float32)
    assert np.abs(line.to_srgb(x) - x).max() < 1e-6
    assert np.abs(line.moved(x, np.repeat(x * 0.5, 3, axis=1)) - x * 0.5).max() < 1e-3


def test_a_table_is_measured_only_for_its_own_channels():
    assert measured_table(cmyk_profile(), 3) is None
    assert measured_table(cmyk_profile()[:300], 4) is None
    assert measured_table(cmyk_profile(), 4) is not None
