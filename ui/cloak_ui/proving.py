"""The self-test of the command line, with drawings of the mimics while they learn and pairs for a blind quiz."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloak.cli import engine
from cloak.image import ReadLimits
from cloak_ui.pictures import read_shown, save_picture
from cloak_ui.tasks import Finished, Message, Progress, ProofTask

__all__ = ["prove"]

_GLIMPSE_SECONDS = 10.0  # at least, between two looks at what a mimic has learnt
_GLIMPSE_COST = 8.0  # times what a look takes must pass before the next one
_SURE = 0.04  # share of the work after which the rest can be estimated


def prove(task: ProofTask, folder: Path, limits: ReadLimits) -> Iterator[Message]:
    """Carry out a task; drawings come as pictures "now/ARM" and in the end "pair/ARM/INDEX"."""
    begin = time.monotonic()
    test: Any = engine.self_test()
    for file in sorted(task.source.iterdir()):
        read_shown(file, limits)  # what cannot be read is said now, not after the first mimic
    experiment = test.plan_selftest(task.source, mimic=task.mimic)
    course, glimpses = _Course(experiment), _Glimpses(folder)
    yield Progress("models", facts={"model": experiment.model})
    for event in test.watch_selftest(experiment, task.source, folder / "proof"):
        course.follow(event)
        seconds = time.monotonic() - begin
        left = seconds * (1 - course.share) / course.share if course.share > _SURE else None
        yield Progress(
            course.stage, course.index, course.total, seconds, left, glimpses.of(event), course.facts(event.cell)
        )
    found, page = test.verdict_of(folder / "proof"), test.write_page(folder / "proof")
    figures = {"drawings": float(found.drawings)}
    if found.gain is not None:
        figures |= {"gain": found.gain.value, "low": found.gain.low, "high": found.gain.high}
    yield Progress(facts={"doubt": found.doubt}, figures=figures)
    yield Finished({"page": page})


class _Course:
    """How far an experiment is. Each mimic that is trained counts alike, cloaking counts as much as one of them."""

    def __init__(self, experiment: Any) -> None:
        cells = engine.evaluation().cells_of(experiment)
        self._cells, self._begun = [cell for cell in cells if not cell.is_bound], 0
        self._done, self._cloaked, self._learnt = 0, 0.0, 0.0
        self.stage: Any = "models"
        self.index = self.total = 0

    @property
    def share(self) -> float:
        """Of all work that is done."""
        return (self._done + self._cloaked + self._learnt) / (len(self._cells) + 1)

    def follow(self, event: Any) -> None:
        """Take note of an event of the self-test."""
        if isinstance(event, engine.evaluation().CellEvent):
            self._done, self._learnt = self._done + (not event.cell.is_bound), 0.0
            return
        self.stage, self.index, self.total = event.stage, event.index, event.total
        if event.stage == "publish" and event.cell.is_clean:
            self.stage, self.total = "prepare", 0
        elif event.stage == "publish":
            self._cloaked = max(self._cloaked, event.index / max(1, event.total))
        elif event.stage == "learn":
            self._learnt = event.index / event.total

    def facts(self, cell: Any) -> dict[str, str | int | bool]:
        """Which mimic is at work."""
        number = self._cells.index(cell) + 1 if cell in self._cells else 0
        attack = "" if cell.countermeasure == "none" else cell.countermeasure
        return {"arm": cell.method, "mimic": number, "mimics": len(self._cells), "attack": attack}


class _Glimpses:
    """Saves what mimics draw, now and then while they learn; the names of the files don't tell who drew them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._next = folder, 0.0

    def of(self, event: Any) -> dict[str, Path]:
        """New pictures of an event, by their name on the page."""
        cell = event.cell
        drawings = getattr(event, "drawings", None)
        if drawings is None or cell.is_bound or cell.countermeasure != "none":
            return {}
        if event.stage == "drawn":
            pictures = {f"pair/{cell.method}/{index}": self._save(x[None]) for index, x in enumerate(drawings())}
            return pictures | {f"now/{cell.method}": self._save(_row(drawings()[:2]))}
        return self._glimpse(cell.method, drawings)

    def _glimpse(self, arm: str, drawings: Callable[[], Tensor]) -> dict[str, Path]:
        begin = time.monotonic()
        if begin < self._next:
            return {}
        picture = self._save(_row(drawings()))
        took = time.monotonic() - begin
        self._next = begin + max(_GLIMPSE_SECONDS, _GLIMPSE_COST * took)
        return {f"now/{arm}": picture}

    def _save(self, x: Tensor) -> Path:
        return save_picture(x, self._folder / f"drawing-{secrets.token_hex(6)}.png")


def _row(pictures: Tensor) -> Tensor:
    """(N, 3, h, w) side by side, (1, 3, h, N w)."""
    return torch.cat(list(pictures), -1)[None]
