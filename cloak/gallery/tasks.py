"""What a run and its workers tell each other, and the work itself: from bytes to bytes, nothing is read or written."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from cloak.certificate import Certificate
from cloak.config import ProtectConfig
from cloak.failures import Failure, explain
from cloak.protect import Protector, Result
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
    """The worker ended while it was at work on a picture; there is a new worker already."""

    name: str


Message = Progress | Cloaked | Failed | Lost


class Worker:
    """Cloaks one picture after the other; the models of the last settings stay loaded."""

    def __init__(self) -> None:
        self._protector: Protector | None = None

    def carry_out(self, task: Task) -> Iterator[Message]:
        """Do a task; the last message is its end."""
        try:
            if self._protector is None or self._protector.config != task.config:
                self._protector = None  # frees the models of other settings before new ones are loaded
                self._protector = Protector(task.config)
            yield from self._cloak(self._protector, task)
        except Exception as error:
            yield Failed(task.name, explain(error))

    @staticmethod
    def _cloak(protector: Protector, task: Task) -> Iterator[Message]:
        result: Result | None = None
        told = 0.0
        for step in protector.steps(task.data, name=PurePosixPath(task.name).name):
            result = step.result or result
            if time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                yield Progress(task.name, step.stage, step.index, step.total, step.eta_seconds)
        assert result is not None
        yield Cloaked(task.name, result.data, result.certificate)
