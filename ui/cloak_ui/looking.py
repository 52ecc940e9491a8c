"""A first look at a picture: what it is, and a part of it as each strength will look."""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from cloak.config import ProtectConfig
from cloak.image import ReadLimits
from cloak.protect import Protector
from cloak_ui.pictures import detailed_part, fit_to_screen, read_shown, save_picture
from cloak_ui.tasks import Finished, LookTask, Message, Progress

__all__ = ["look"]

_PART_SIDE = 128
_PART_ZOOM = 3


def look(task: LookTask, folder: Path, limits: ReadLimits) -> Iterator[Message]:
    """Carry out a task; pictures come one by one."""
    document, shown = read_shown(task.source, limits)
    facts: dict[str, str | int | bool] = {
        "width": document.size[0],
        "height": document.size[1],
        "format": document.format,
        "bits": document.raster.bit_depth,
        "transparent": document.alpha is not None,
        "profile": document.metadata.icc is not None,
    }
    yield Progress(pictures={"original": save_picture(fit_to_screen(shown), folder / "original.png")}, facts=facts)
    part = detailed_part(shown, _PART_SIDE)
    stored = save_picture(part, folder / "part.png").read_bytes()
    yield Progress(pictures={"part_original": _enlarged(part, folder / "part-original.png")})
    for strength in task.strengths:
        result = Protector(ProtectConfig(strength=strength, effort="instant", notice=False))(stored)
        cloaked = folder / f"part-{strength}.png"
        cloaked.write_bytes(result.data)
        yield Progress(pictures={f"part_{strength}": _enlarged(read_shown(cloaked)[1], cloaked)})
    yield Finished()


def _enlarged(part: Tensor, path: Path) -> Path:
    """Whole pixels repeated, so that nothing is smoothed away."""
    return save_picture(part.repeat_interleave(_PART_ZOOM, -1).repeat_interleave(_PART_ZOOM, -2), path)
