"""What a run and its workers tell each other, and the work itself: from bytes to bytes, nothing is read or written."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from cloak.certificate import Certificate
from cloak.config import ProtectConfig
from cloak.failures import Failure, explain
from cloak.protect import Protector
from cloak.types import Stage

__all__ = ["Cloaked", "Failed", "Lost", "Message", "Progress", "Task", "Worker"]

_PROGRESS_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Task:
    """One picture to cloak.

    Args:
        name: of the original, for messages and the certificate.
        data: the original's file.
        config: settings.
    """

    name: str
    data: bytes
    config: ProtectConfig


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work on a picture is; `eta_seconds` is None when it is not known."""

    name: str
    stage: Stage
    index: int
    total: int
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class Cloaked:
    """A picture is cloaked: the result's file and its certificate."""

    name: str
    data: bytes
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Failed:
    """A picture cannot be cloaked."""

    name: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker ended while it was at work on a picture; there is a new worker already.

    Args:
        name: of the picture.
        alone: whether the worker had been given no other.
        machine: that it was on; empty for this one.
    """

    name: str
    alone: bool = True
    machine: str = ""


Message = Progress | Cloaked | Failed | Lost


class Worker:
    """Cloaks pictures; the models of the last settings stay loaded."""

    def __init__(self) -> None:
        self._protector: Protector | None = None

    def carry_out(self, tasks: Sequence[Task]) -> Iterator[Message]:
        """Do tasks of the same settings; each one's last message is its end."""
        unfinished = dict(enumerate(tasks))
        told: dict[int, float] = {}
        try:
            pictures = [(task.data, PurePosixPath(task.name).name) for task in tasks]
            for place, step in self._protector_for(tasks[0].config).batch(pictures):
                if isinstance(step, Exception):
                    yield Failed(unfinished.pop(place).name, explain(step))
                elif step.result is not None:
                    yield Cloaked(unfinished.pop(place).name, step.result.data, step.result.certificate)
                elif time.monotonic() - told.get(place, 0.0) >= _PROGRESS_SECONDS:
                    told[place] = time.monotonic()
                    yield Progress(tasks[place].name, step.stage, step.index, step.total, step.eta_seconds)
        except Exception as error:
            for task in unfinished.values():
                yield Failed(task.name, explain(error))

    def _protector_for(self, config: ProtectConfig) -> Protector:
        if self._protector is None or self._protector.config != config:
            self._protector = None  # frees the models of other settings before new ones are loaded
            self._protector = Protector(config)
        return self._protector
