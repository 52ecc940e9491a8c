"""Draws the example pictures of this folder with Pillow and numpy alone; the same bytes each time on the same versions.

Run it from anywhere: `python examples/make_examples.py [FOLDER]`. Every picture is made by this project and is CC0.
"""

import math
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from drawing import INK, SCALE, Colour, Floats, Pen, Points, cloud_noise, oval, reduced, smooth, write_wide_png
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter


def cartoon() -> Image.Image:
    """A fox with a scarf on a hill: flat colours and clean outlines."""
    image = Image.new("RGB", (512 * SCALE, 512 * SCALE), (255, 214, 170))
    pen = Pen(image, 4)
    pen.shape(oval(392, 116, 62, 62), (255, 244, 200), None)
    for x, y, size in ((96, 96, 1.0), (250, 62, 0.7), (452, 196, 0.6)):
        for dx, dy, r in ((-30, 6, 22), (0, -6, 30), (32, 6, 22)):
            pen.shape(oval(x + dx * size, y + dy * size, r * size, r * size * 0.8), (255, 255, 255), None)
    pen.shape(
        smooth([(-40, 330), (90, 268), (210, 316), (330, 270), (470, 300), (560, 280), (560, 560), (-40, 560)]),
        (126, 178, 168),
        None,
    )
    pen.shape(smooth([(-60, 420), (120, 372), (300, 396), (560, 360), (580, 580), (-60, 580)]), (88, 148, 96))
    for x in (40, 84, 438, 482):
        pen.line([(x, 440), (x - 7, 418)], (54, 104, 66))
        pen.line([(x, 440), (x + 7, 416)], (54, 104, 66))
    _fox(pen)
    return reduced(image)


def _fox(pen: Pen) -> None:
    orange, cream, dark = (238, 126, 52), (255, 240, 220), (74, 48, 60)
    pen.shape(smooth([(322, 440), (400, 446), (452, 388), (446, 312), (408, 292), (392, 352), (344, 372)]), orange)
    pen.shape(smooth([(446, 330), (446, 304), (424, 278), (402, 290), (400, 318), (422, 312)]), cream)
    pen.shape(smooth([(190, 452), (180, 376), (214, 316), (290, 316), (330, 380), (322, 452), (256, 464)]), orange)
    pen.shape(smooth([(228, 452), (222, 392), (256, 350), (288, 392), (284, 452), (256, 460)]), cream)
    for x in (216, 296):
        pen.shape(oval(x, 452, 25, 15), dark)
    for ear, inner in (
        ([(156, 206), (148, 112), (226, 158)], [(172, 188), (166, 140), (206, 162)]),
        ([(356, 206), (364, 112), (286, 158)], [(340, 188), (346, 140), (306, 162)]),
    ):
        pen.shape(ear, orange)
        pen.shape(inner, dark, None)
    face = [(256, 146), (322, 160), (366, 216), (382, 258), (330, 290), (256, 318), (182, 290), (130, 258), (146, 216)]
    pen.shape(smooth([*face, (190, 160)]), orange)
    pen.shape(smooth([(132, 260), (186, 236), (240, 262), (256, 300), (256, 316), (184, 290)]), cream, None)
    pen.shape(smooth([(380, 260), (326, 236), (272, 262), (256, 300), (256, 316), (328, 290)]), cream, None)
    pen.shape(smooth([*face, (190, 160)]), None)
    for x in (204, 308):
        pen.shape(oval(x, 226, 15, 19), dark, None)
        pen.shape(oval(x + 5, 218, 5, 6), (255, 255, 255), None)
    pen.shape(oval(256, 282, 15, 10), dark)
    pen.line(oval(246, 294, 11, 9, 0, 10, 150))
    pen.line(oval(266, 294, 11, 9, 0, 30, 170))
    pen.shape(smooth([(184, 318), (256, 338), (328, 318), (336, 342), (256, 366), (178, 342)]), (52, 110, 164))
    pen.shape([(290, 352), (318, 342), (340, 404), (308, 412)], (52, 110, 164))
    pen.line([(302, 378), (328, 370)], (240, 220, 120))
    pen.line([(306, 394), (334, 386)], (240, 220, 120))


def ink_drawing() -> Image.Image:
    """A lighthouse on a cliff in pen strokes and hatching, black on paper."""
    image = Image.new("L", (420 * SCALE, 560 * SCALE), 248)
    pen, generator = _GreyPen(image), np.random.default_rng(11)
    pen.outline([(182, 380), (196, 170), (254, 170), (268, 380)])
    for y in (222, 274, 326):
        spread = (y - 170) * 14 / 210
        pen.outline(oval(225, y, 29 + spread, 6, 0, 0, 180), closed=False)
    pen.outline([(188, 170), (262, 170), (262, 158), (188, 158)])
    pen.outline([(204, 158), (204, 118), (246, 118), (246, 158)])
    pen.outline(oval(225, 118, 27, 22, 0, 180, 360))
    pen.outline([(225, 96), (225, 80)], closed=False)
    for x in (214, 225, 236):
        pen.outline([(x, 158), (x, 118)], closed=False, width=1)
    for y in np.arange(176, 380, 4.5):
        spread = (y - 170) * 14 / 210
        length = 20 + 8 * generator.random()
        pen.outline([(254 + spread - length, y + 4), (253 + spread, y)], closed=False, width=0.9)
    for y0, y1 in ((222, 274), (326, 378)):
        for y in np.arange(y0 + 7, y1, 3.2):
            spread = (y - 170) * 14 / 210
            pen.outline(oval(225, y, 28 + spread, 6, 0, 4, 176), closed=False, width=0.8)
    pen.outline(smooth([(216, 380), (216, 356), (225, 346), (234, 356), (234, 380)], closed=False), closed=False)
    _cliff(pen, generator)
    _sea_and_birds(pen, generator)
    for angle in (-28, -18, -8, 188, 198, 208):
        direction = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        start = np.array([225.0, 138.0]) + direction * 42
        for part in range(4):
            a, b = start + direction * part * 34, start + direction * (part * 34 + 22 - part * 3)
            pen.outline([(a[0], a[1]), (b[0], b[1])], closed=False, width=0.9)
    return reduced(image)


class _GreyPen:
    """A pen whose line wavers a little, on a grey picture."""

    def __init__(self, image: Image.Image) -> None:
        self.draw, self.generator = ImageDraw.Draw(image), np.random.default_rng(5)

    def outline(self, points: Points, closed: bool = True, width: float = 1.7) -> None:
        path = [*points, points[0]] if closed else list(points)
        for (x0, y0), (x1, y1) in pairwise(path):
            count = max(2, int(math.hypot(x1 - x0, y1 - y0) / 6))
            t = np.linspace(0, 1, count)
            waver = self.generator.normal(0, 0.28, (2, count)) * (t > 0) * (t < 1)
            xs, ys = x0 + (x1 - x0) * t + waver[0], y0 + (y1 - y0) * t + waver[1]
            large = [(float(x) * SCALE, float(y) * SCALE) for x, y in zip(xs, ys, strict=True)]
            self.draw.line(large, fill=20, width=max(1, round(width * SCALE)), joint="curve")


def _cliff(pen: _GreyPen, generator: np.random.Generator) -> None:
    edge = [(60, 470), (88, 424), (130, 396), (182, 381), (268, 381), (312, 398), (340, 430), (352, 480), (372, 512)]
    pen.outline(smooth(edge, closed=False), closed=False, width=2.2)
    pen.outline(smooth([(60, 470), (48, 500), (40, 516)], closed=False), closed=False, width=2.2)
    for _ in range(210):
        x, t = generator.uniform(62, 352), generator.random() ** 1.3
        top = float(np.interp(x, [p[0] for p in edge], [p[1] for p in edge]))
        y = top + 8 + t * (505 - top)
        if y > 506:
            continue
        length = generator.uniform(8, 26) * (0.5 + x / 400)
        lean = -0.35 + 0.5 * (x - 200) / 200
        pen.outline(
            [(x, y), (x + lean * length, min(512, y + length))], closed=False, width=generator.uniform(0.7, 1.3)
        )
    for x in range(80, 345, 9):
        top = float(np.interp(x, [p[0] for p in edge], [p[1] for p in edge]))
        for lean in (-3, 1, 4):
            pen.outline([(x, top + 1), (x + lean, top - generator.uniform(4, 10))], closed=False, width=0.9)


def _sea_and_birds(pen: _GreyPen, generator: np.random.Generator) -> None:
    for y in (512, 522, 533, 545):
        x = generator.uniform(-20, 10)
        while x < 430:
            length = generator.uniform(18, 46)
            wave = [(x, y), (x + length / 2, y - 4), (x + length, y)]
            pen.outline(smooth(wave, closed=False), closed=False, width=1.3)
            x += length + generator.uniform(4, 22)
    for x, y, size in ((84, 150, 13), (116, 186, 9), (338, 236, 11), (362, 206, 8)):
        wing = [(x - size, y - size * 0.5), (x - size * 0.4, y - size * 0.7), (x, y)]
        pen.outline(smooth(wing, closed=False), closed=False, width=1.5)
        pen.outline(smooth([(2 * x - px, py) for px, py in wing], closed=False), closed=False, width=1.5)


def landscape() -> Image.Image:
    """A lake in the evening, painted in thousands of brush strokes over a plan of colours."""
    height, width = 416, 640
    plan, flow = _landscape_plan(height, width), cloud_noise(height, width, 21, 4)
    generator = np.random.default_rng(9)
    canvas = Image.fromarray(plan).filter(ImageFilter.GaussianBlur(9)).resize((width * 2, height * 2))
    draw = ImageDraw.Draw(canvas)
    for count, length, thick, spread in ((2600, 46, 13, 26), (6500, 26, 7, 22), (12000, 13, 3.4, 18)):
        for _ in range(count):
            x, y = generator.uniform(0, width), generator.uniform(0, height)
            row, column = int(y), int(x)
            lake = y > 236
            angle = (flow[row, column] - 0.5) * (0.5 if lake else 3.4) + generator.normal(0, 0.12)
            shade = plan[row, column] + generator.normal(0, spread * 0.35) + generator.normal(0, spread * 0.3, 3)
            _stroke(draw, (2 * x, 2 * y), angle, (length * generator.uniform(0.6, 1.3), thick), shade)
    painted = canvas.resize((width, height), Image.Resampling.LANCZOS)
    relief = np.asarray(painted.convert("L").filter(ImageFilter.Kernel((3, 3), (-1, -1, 0, -1, 0, 1, 0, 1, 1), 3, 0)))
    lit = np.asarray(painted, float) + (relief.astype(float)[..., None] - 4) * 0.35
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def _stroke(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], angle: float, size: tuple[float, float], shade: Floats
) -> None:
    (x, y), (length, thick) = at, size
    dx, dy = math.cos(angle) * length, math.sin(angle) * length
    bend = thick * 0.8
    path = [(x - dx, y - dy), (x - bend * math.sin(angle), y + bend * math.cos(angle)), (x + dx, y + dy)]
    for offset, change in ((-0.3, 12), (0.0, 0), (0.3, -12)):
        ox, oy = -math.sin(angle) * thick * offset, math.cos(angle) * thick * offset
        red, green, blue = (int(value) for value in np.clip(shade + change, 0, 255))
        line = [(px + ox, py + oy) for px, py in smooth(path, closed=False, steps=4)]
        draw.line(line, fill=(red, green, blue), width=max(1, round(thick * 0.75)), joint="curve")


def _landscape_plan(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width].astype(float)
    sky = _blend(y / 236, [(0, (58, 74, 132)), (0.45, (196, 120, 138)), (0.8, (250, 178, 104)), (1, (255, 220, 140))])
    clouds = np.clip(cloud_noise(height, width, 4, 5, stretch=3) * 2.6 - 1.35, 0, 1)[..., None]
    picture = sky * (1 - 0.7 * clouds) + np.array((246, 150, 132.0)) * 0.7 * clouds
    sun = np.exp(-((x - 430) ** 2 + (y - 196) ** 2) / 2 / 27**2)[..., None]
    picture = picture * (1 - sun) + np.array((255, 246, 204.0)) * sun
    for seed, base, rough, colour in (
        (31, 168, 92, (124, 96, 142)),
        (32, 196, 70, (76, 70, 116)),
        (33, 218, 40, (44, 62, 78)),
    ):
        line = base - (np.interp(np.arange(width), np.arange(width), cloud_noise(8, width, seed, 4)[3]) - 0.4) * rough
        hill = (y > line[None]) & (y < 237)
        fade = np.clip((y - line[None]) / 60, 0, 1)[..., None]
        picture = np.where(hill[..., None], np.array(colour) * (1 - 0.25 * fade) + 60 * 0.25 * fade, picture)
    mirror = picture[np.clip(472 - np.arange(height), 0, height - 1)]
    ripple = cloud_noise(height, width, 8, 6, stretch=9)[..., None]
    water = mirror * 0.72 + np.array((30, 44, 84.0)) * 0.28 + (ripple - 0.5) * 66
    picture = np.where((y > 236)[..., None], water, picture)
    shore = y > 356 + 46 * np.sin(x / 150 + 2.2) + 20 * cloud_noise(height, width, 5, 5)
    grass = np.array((58, 66, 36.0)) + cloud_noise(height, width, 6, 6)[..., None] * np.array((96, 84, 30.0))
    return np.clip(np.where(shore[..., None], grass, picture), 0, 255).astype(np.uint8)


def _blend(position: Floats, stops: list[tuple[float, Colour]]) -> Floats:
    where = [stop for stop, _ in stops]
    return np.stack([np.interp(position, where, [colour[i] for _, colour in stops]) for i in range(3)], axis=-1)


def sticker() -> Image.Image:
    """A winking cat with a white border on nothing: transparent, of an odd size."""
    image = Image.new("RGB", (317 * SCALE, 211 * SCALE), (255, 255, 255))
    pen = Pen(image, 3.4)
    body = smooth(
        [
            (60, 190),
            (46, 140),
            (74, 96),
            (70, 34),
            (112, 62),
            (158, 54),
            (204, 62),
            (246, 34),
            (244, 96),
            (270, 140),
            (256, 190),
            (158, 202),
        ]
    )
    lilac, pink = (150, 128, 216), (255, 158, 178)
    pen.shape(body, lilac)
    pen.shape([(82, 70), (81, 52), (98, 66)], pink, None)
    pen.shape([(234, 70), (235, 52), (218, 66)], pink, None)
    pen.shape(oval(112, 112, 15, 19), INK, None)
    pen.shape(oval(117, 104, 5, 6), (255, 255, 255), None)
    pen.line(oval(204, 116, 18, 12, 0, 190, 350), width=4)
    for x in (84, 232):
        pen.shape(oval(x, 142, 15, 9), pink, None)
    pen.shape(smooth([(150, 132), (166, 132), (158, 142)]), pink)
    pen.line(oval(146, 144, 12, 10, 0, 10, 140))
    pen.line(oval(170, 144, 12, 10, 0, 40, 170))
    for y in (-6, 6):
        pen.line([(40, 146 + y * 1.6), (68, 144 + y)], width=2)
        pen.line([(276, 146 + y * 1.6), (248, 144 + y)], width=2)
    pen.shape(smooth([(138, 184), (158, 174), (178, 184), (158, 196)]), (255, 214, 84))
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).polygon([(x * SCALE, y * SCALE) for x, y in body], fill=255)
    border = mask.filter(ImageFilter.GaussianBlur(6 * SCALE)).point(lambda value: 255 if value > 24 else 0)
    whiskers = image.convert("L").point(lambda value: 255 if value < 200 else 0).filter(ImageFilter.MaxFilter(9))
    border.paste(255, mask=whiskers)
    image.putalpha(border.filter(ImageFilter.GaussianBlur(SCALE / 2)))
    return reduced(image)


def poster() -> Image.Image:
    """A planet over a horizon in smooth gradients, without any texture."""
    height, width = 576, 400
    y, x = np.mgrid[0:height, 0:width].astype(float)
    picture = _blend(
        y / height, [(0, (18, 12, 58)), (0.4, (96, 32, 128)), (0.68, (240, 98, 110)), (0.8, (255, 196, 128))]
    )
    glow = np.exp(-((x - 200) ** 2 + (y - 220) ** 2) / 2 / 130**2)[..., None]
    picture = picture + glow * np.array((70, 50, 60.0))
    radius = np.hypot(x - 200, y - 220)
    light = np.clip(0.5 + ((x - 200) * -0.55 + (y - 220) * -0.75) / 240, 0, 1)
    planet = _blend(light, [(0, (58, 24, 96)), (0.5, (236, 92, 128)), (1, (255, 226, 170))])
    inside = np.clip(121 - radius, 0, 1)[..., None]
    picture = picture * (1 - inside) + planet * inside
    tilted = np.hypot(
        (x - 200) * math.cos(0.35) + (y - 220) * math.sin(0.35),
        4.2 * ((y - 220) * math.cos(0.35) - (x - 200) * math.sin(0.35)),
    )
    ring = np.clip(1 - np.abs(tilted - 178) / 22, 0, 1) * (
        ((y - 220) * math.cos(0.35) > (x - 200) * math.sin(0.35)) | (radius > 120)
    )
    picture = picture * (1 - 0.8 * ring[..., None]) + np.array((255, 236, 214.0)) * 0.8 * ring[..., None]
    for base, swing, length, colour in (
        (452, 26, 90, (120, 44, 118)),
        (492, 20, 60, (74, 26, 92)),
        (530, 16, 110, (34, 14, 58)),
    ):
        line = base - swing * np.sin(x / length + base) - swing * 0.4 * np.sin(x / length * 2.7 + 1)
        edge = np.clip(y - line, 0, 1)[..., None]
        depth = np.clip((y - line) / 150, 0, 1)[..., None]
        picture = picture * (1 - edge) + (np.array(colour) * (1 - 0.4 * depth)) * edge
    return Image.fromarray(np.clip(picture + 0.5, 0, 255).astype(np.uint8))


def nebula() -> NDArray[np.uint16]:
    """Clouds of gas and stars with 16 bits for each sample, shape (256, 256, 3)."""
    size = 256
    y, x = np.mgrid[0:size, 0:size] / size
    first, second, third = (cloud_noise(size, size, seed, 7) for seed in (41, 42, 43))
    dust = np.clip(1.5 * np.abs(first - second) + 0.1, 0, 1)
    heart = np.exp(-((x - 0.55) ** 2 + (y - 0.45) ** 2) / 0.09)
    red, blue = np.clip(first * 1.3 - 0.45, 0, 1) * heart, np.clip(second * 1.4 - 0.5, 0, 1)
    teal = np.clip(third * 1.5 - 0.6, 0, 1) * np.exp(-((x - 0.3) ** 2 + (y - 0.65) ** 2) / 0.1)
    light = np.stack(
        [1.5 * red + 0.25 * blue, 0.3 * red + 0.35 * blue + 0.9 * teal, 0.5 * red + 0.9 * blue + teal], axis=-1
    )
    picture = np.array((0.012, 0.016, 0.035)) + light * (0.35 + 0.65 * dust[..., None])
    generator = np.random.default_rng(44)
    for _ in range(150):
        sx, sy, bright = generator.random(), generator.random(), generator.random() ** 5
        tint = np.array((1, 0.9, 0.8)) if generator.random() < 0.4 else np.array((0.8, 0.9, 1))
        spot = np.exp(-((x - sx) ** 2 + (y - sy) ** 2) * size**2 / (1.0 + 4 * bright))
        picture += spot[..., None] * tint * (0.25 + bright)
    return np.rint(np.clip(1 - np.exp(-1.7 * picture), 0, 1) * 65535).astype(np.uint16)


PICTURES: dict[str, tuple[Callable[[], Image.Image], dict[str, object]]] = {
    "fox-cartoon.png": (cartoon, {"optimize": True}),
    "lighthouse-ink.png": (ink_drawing, {"optimize": True}),
    "lake-painting.jpg": (landscape, {"quality": 93, "subsampling": 0, "optimize": True}),
    "cat-sticker.png": (sticker, {"optimize": True}),
    "planet-poster.webp": (poster, {"lossless": True, "method": 6}),
}


def main() -> None:
    """Write every example into the folder named on the command line, or beside this script."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, (draw, options) in PICTURES.items():
        draw().save(folder / name, **options)
    write_wide_png(nebula(), folder / "nebula-16bit.png")


if __name__ == "__main__":
    main()
