"""Originals, cloaked pictures and what a model sees of them, side by side in two pictures for the documentation."""

import argparse
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from cloak.certificate import Certificate
from cloak.config import ProtectConfig
from cloak.errors import OutputError, UsageError
from cloak.image import PictureDocument, read_picture, write_file
from cloak.protect import Protector
from cloak.surrogates import Surrogate
from cloak.types import Effort, Strength
from cloak.views import whole_view

__all__ = ["Cloaked", "add_parser", "cloak_all", "crop_sheet", "overview_sheet", "run"]

MOST_PICTURES = 8
MOST_BYTES = 700_000
AMPLIFIED = 10
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"})
_CELL, _GAP, _LINE = 220, 8, 20  # pixels
_CROP, _STRIDE = 96, 16  # pixels of the picture
_SEEN_SIDE = 512  # short side at which the model looks
_COLUMNS = ("original", "cloaked", f"difference x{AMPLIFIED}", "model sees: original", "model sees: cloaked")
_CROP_COLUMNS = ("flat: original", "flat: cloaked", "lines: original", "lines: cloaked")


@dataclass(frozen=True)
class Cloaked:
    """A picture before and after, as people see it: on white where it is transparent.

    Args:
        name: of the file.
        before: (1, 3, H, W), [0, 1].
        after: (1, 3, H, W), [0, 1], as read back from the written file.
        certificate: what was measured.
    """

    name: str
    before: Tensor
    after: Tensor
    certificate: Certificate


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `contact-sheet`."""
    parser = subparsers.add_parser("contact-sheet", help="pictures before and after, and what a model sees of them")
    parser.add_argument("--pictures", type=Path, nargs="+", metavar="FILE", help="default: those of examples/")
    parser.add_argument("--art", type=Path, metavar="FOLDER", help="fill up with pictures spread over this folder")
    parser.add_argument("--effort", default="standard", choices=get_args(Effort))
    parser.add_argument("--strength", default="balanced", choices=get_args(Strength))
    parser.add_argument("--models", nargs="+", default=("auto",), metavar="MODEL")
    parser.add_argument("--out", type=Path, default=Path("docs/contact-sheet.jpg"), metavar="FILE")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Cloak the pictures and write both sheets, the second one as NAME-200.jpg beside the first."""
    paths = _choose(options.pictures, options.art)
    config = ProtectConfig(effort=options.effort, strength=options.strength, models=tuple(options.models))
    protector = Protector(config)
    pictures = list(cloak_all(paths, protector))
    seeing = next((surrogate for surrogate in protector.surrogates if "decode" in surrogate.capabilities), None)
    close = options.out.with_stem(f"{options.out.stem}-200")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for sheet, path in ((overview_sheet(pictures, seeing), options.out), (crop_sheet(pictures), close)):
        write_file(_bounded_jpeg(sheet), path, overwrite=True)
        Console(highlight=False, markup=False, soft_wrap=True).print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return 0


def _choose(given: Sequence[Path] | None, art: Path | None) -> list[Path]:
    paths = list(given) if given else _pictures_below(Path("examples"))
    room = MOST_PICTURES - len(paths)
    if art is not None and room > 0:
        paths += _spread(_pictures_below(art), room)
    if not 1 <= len(paths) <= MOST_PICTURES:
        raise UsageError(f"The sheet holds 1 to {MOST_PICTURES} pictures, got {len(paths)}; name some with --pictures.")
    return paths


def _pictures_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


def _spread(paths: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of the paths, evenly over their order."""
    count = min(count, len(paths))
    return [paths[(2 * index + 1) * len(paths) // (2 * count)] for index in range(count)]


def cloak_all(paths: Sequence[Path], protector: Protector) -> Iterator[Cloaked]:
    """Cloak each picture without writing it."""
    for path in paths:
        data = path.read_bytes()
        result = protector(data)
        before, after = (_shown(read_picture(each, name=path.name)) for each in (data, result.data))
        yield Cloaked(path.name, before, after, result.certificate)


def _shown(document: PictureDocument) -> Tensor:
    alpha = document.alpha
    return document.pixels if alpha is None else document.pixels * alpha + 1 - alpha


def overview_sheet(pictures: Sequence[Cloaked], surrogate: Surrogate | None) -> Image.Image:
    """One row for each picture: original, cloaked, amplified difference and both as the model sees them.

    Args:
        pictures: before and after.
        surrogate: the model that looks; None where no model can decode leaves its columns out.
    """
    columns = _COLUMNS if surrogate is not None else _COLUMNS[:3]
    rows = [(_caption(each), _overview_row(each, surrogate)) for each in pictures]
    sheet = _sheet(columns, rows, _CELL)
    if surrogate is not None:
        ImageDraw.Draw(sheet).text((_GAP, sheet.height - _LINE), f"model: {surrogate.name}", "black", _font())
    return sheet


def _overview_row(picture: Cloaked, surrogate: Surrogate | None) -> list[Image.Image]:
    """Cells of one row; the difference is shrunk by leaving pixels out, which keeps its strength."""
    change = (0.5 + AMPLIFIED * (picture.after - picture.before)).clamp(0, 1)
    shown = [_image(picture.before), _image(picture.after)]
    cells = [ImageOps.contain(image, (_CELL, _CELL), Image.Resampling.LANCZOS) for image in shown]
    cells.append(ImageOps.contain(_image(change), (_CELL, _CELL), Image.Resampling.NEAREST))
    if surrogate is not None:
        seen = [_seen(surrogate, x) for x in (picture.before, picture.after)]
        cells += [ImageOps.contain(image, (_CELL, _CELL), Image.Resampling.LANCZOS) for image in seen]
    return cells


@torch.no_grad()
def _seen(surrogate: Surrogate, x: Tensor) -> Image.Image:
    return _image(surrogate.see(whole_view(x, _SEEN_SIDE).look(x)).clamp(0, 1))


def _caption(picture: Cloaked) -> str:
    visible = picture.certificate.visibility
    text = f"{picture.name}: largest change {visible.max_change:.0f} of 255, LPIPS {visible.lpips:.4f}"
    sizes = next((effect.sizes for effect in picture.certificate.effects if effect.sizes), [])
    return f"{text}, seen shift {sizes[0].times_noise:.1f} x noise" if sizes else text


def crop_sheet(pictures: Sequence[Cloaked]) -> Image.Image:
    """For each picture the flat and the line-art part where the cloak shows most, before and after, at 200 %."""
    rows = []
    for picture in pictures:
        side = min(_CROP, *picture.before.shape[-2:])
        flat, lines = worst_places(picture.before, picture.after, side)
        cells = [_enlarged(x, place, side) for place in (flat, lines) for x in (picture.before, picture.after)]
        rows.append((picture.name, cells))
    return _sheet(_CROP_COLUMNS, rows, 2 * _CROP)


def worst_places(before: Tensor, after: Tensor, side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Top left corners of the flat and of the line-art square in which a change shows most.

    Args:
        before: (1, 3, H, W), [0, 1].
        after: (1, 3, H, W), [0, 1].
        side: of the square, pixels.
    """
    grey = F.pad(before.mean(1, keepdim=True), (0, 1, 0, 1), mode="replicate")
    slope = torch.maximum((grey.diff(dim=2)[..., :-1]).abs(), (grey.diff(dim=3)[..., :-1, :]).abs())  # (1, 1, H, W)
    flat, edges, change = (
        F.avg_pool2d(map_, side, stride=_STRIDE)[0, 0]
        for map_ in ((slope < 0.01).float(), (slope > 0.15).float(), (after - before).abs().mean(1, keepdim=True))
    )
    return _highest(flat.pow(4) * change), _highest(flat * edges * change)


def _highest(score: Tensor) -> tuple[int, int]:
    row, column = divmod(int(score.argmax()), score.shape[1])
    return row * _STRIDE, column * _STRIDE


def _enlarged(x: Tensor, place: tuple[int, int], side: int) -> Image.Image:
    top, left = place
    return ImageOps.scale(_image(x[..., top : top + side, left : left + side]), 2, Image.Resampling.NEAREST)


def _image(x: Tensor) -> Image.Image:
    return Image.fromarray((x[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy().astype(np.uint8))


def _sheet(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Image.Image]]], cell: int) -> Image.Image:
    """Labelled columns, and for each row its caption above its cells."""
    heights = [max(image.height for image in cells) + _LINE + _GAP for _, cells in rows]
    sheet = Image.new("RGB", (len(columns) * (cell + _GAP) + _GAP, sum(heights) + 2 * _LINE), "white")
    draw, top = ImageDraw.Draw(sheet), _LINE
    for place, label in enumerate(columns):
        draw.text((_GAP + place * (cell + _GAP), 2), label, "black", _font())
    for (caption, cells), height in zip(rows, heights, strict=True):
        draw.text((_GAP, top + 2), caption, "dimgrey", _font())
        for place, image in enumerate(cells):
            sheet.paste(image, (_GAP + place * (cell + _GAP), top + _LINE))
        top += height
    return sheet


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=13)


def _bounded_jpeg(sheet: Image.Image) -> bytes:
    """The sheet without colour subsampling, as fine as its size limit allows."""
    for quality in (95, 93, 90, 87, 84, 80, 75, 70, 60):
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True)
        if buffer.tell() < MOST_BYTES:
            return buffer.getvalue()
    raise OutputError(f"The contact sheet needs more than {MOST_BYTES} bytes; give fewer pictures.")
