"""Protects one picture as the command line does, and makes the views that show what was done."""

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cloak.config import ProtectConfig
from cloak.image import ReadLimits
from cloak.protect import Protector, Result
from cloak.types import Step
from cloak_ui.pictures import amplified_difference, change_map, fit_to_screen, read_shown, save_picture, seen_pair
from cloak_ui.tasks import Finished, Message, Progress, ProtectTask

__all__ = ["protect"]

_PREVIEW_SECONDS = 1.0  # at least, between two pictures of how it looks now


def protect(
    task: ProtectTask, folder: Path, limits: ReadLimits, enough: Callable[[], bool] = lambda: False
) -> Iterator[Message]:
    """Carry out a task; `enough` ends it early with what was reached."""
    _, before = read_shown(task.source, limits)
    if task.views:
        yield Progress("read", pictures={"original": save_picture(fit_to_screen(before), folder / "original.png")})
    protector, result, shown_at = _protector(task.config), None, 0.0
    for step in protector.steps(task.source, enough=enough):
        result, pictures = step.result, {}
        if task.views and step.preview is not None and time.monotonic() - shown_at > _PREVIEW_SECONDS:
            shown_at = time.monotonic()
            pictures["now"] = save_picture(fit_to_screen(step.preview()), folder / f"now-{step.index}.jpg")
        yield _progress(step, pictures)
    assert isinstance(result, Result)
    assert result.path is not None
    assert result.certificate_path is not None
    if task.views:
        yield from _views(protector, task.source, result.path, folder)
    yield Finished({"picture": result.path, "certificate": result.certificate_path})


@functools.lru_cache(maxsize=1)
def _protector(config: ProtectConfig) -> Protector:
    """With its models, for as long as the settings stay the same."""
    return Protector(config)


def _progress(step: Step, pictures: dict[str, Path]) -> Progress:
    return Progress(step.stage, step.index, step.total, step.seconds, step.eta_seconds, pictures)


def _views(protector: Protector, source: Path, output: Path, folder: Path) -> Iterator[Progress]:
    before, after = read_shown(source)[1], read_shown(output)[1]
    views = {
        "cloaked": fit_to_screen(after),
        "difference": fit_to_screen(amplified_difference(before, after)),
        "change_map": change_map(before, after),
    }
    seen = seen_pair(protector.surrogates, before, after)
    facts: dict[str, str | int | bool] = {}
    if seen is not None:
        facts["seen_model"], views["seen_original"], views["seen_cloaked"] = seen
    files = {name: save_picture(view, folder / f"{name.replace('_', '-')}.png") for name, view in views.items()}
    yield Progress("verify", pictures=files, facts=facts)
