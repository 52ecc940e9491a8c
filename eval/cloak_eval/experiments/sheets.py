"""What a cell looks like: originals, published, treated and drawn pictures in rows."""

import io
from collections.abc import Sequence

from PIL import Image, ImageOps
from torch import Tensor

from cloak_eval.countermeasures.coding import as_image

__all__ = ["COLUMNS", "SIDE", "cell_sheet"]

SIDE, COLUMNS = 128, 6


def cell_sheet(rows: Sequence[Sequence[Tensor]]) -> bytes:
    """JPEG of up to `COLUMNS` squares a row, in the order given; pictures are (3, H, W)."""
    columns = min(COLUMNS, max(map(len, rows)))
    sheet = Image.new("RGB", (SIDE * columns, SIDE * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row[:COLUMNS]):
            sheet.paste(ImageOps.fit(as_image(picture[None]), (SIDE, SIDE)), (x * SIDE, y * SIDE))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
