"""A gallery without models: an engine in the test's own process, and pictures to give it."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cloak import Certificate, ProtectConfig, Protector
from cloak.gallery import Event, Gallery
from cloak.gallery.tasks import Cloaked, Message, Progress, Task

CONFIG = ProtectConfig(effort="instant")
MODELS = ["tiny-flux2", "tiny-sd1"]


@pytest.fixture(scope="session")
def certificate() -> Certificate:
    """A real one; tests give it other hashes."""
    return Protector(CONFIG)(Image.new("RGB", (24, 24), (90, 140, 60))).certificate


@dataclass
class InlineEngine:
    """Does each task when messages are asked for: the result is the original's bytes and a mark.

    Args:
        certificate: what certificates are made from.
        answers: messages instead of a result, by name, one for each attempt.
        tasks: every task that was handed in, in order.
        groups: names of those that were handed in together.
        gone: machines that were lost.
    """

    certificate: Certificate
    answers: dict[str, list[Message]] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    closed: bool = False
    groups: list[list[str]] = field(default_factory=list)
    waiting: deque[Sequence[Task]] = field(default_factory=deque)

    def workers(self) -> int:
        return 2

    def free(self) -> int:
        return 2 - len(self.waiting)

    def submit(self, tasks: Sequence[Task]) -> None:
        assert self.free() > 0
        self.tasks += tasks
        self.groups.append([task.name for task in tasks])
        self.waiting.append(tasks)

    def messages(self, timeout: float) -> Iterator[Message]:  # noqa: ARG002 (nothing to wait for)
        if not self.waiting:
            return
        for task in self.waiting.popleft():
            yield Progress(task.name, "attack", 1, 2, 3.0)
            answers = self.answers.get(task.name)
            yield answers.pop(0) if answers else _cloaked(task, self.certificate)

    def is_gone(self, machine: str) -> bool:
        return machine in self.gone

    def close(self) -> None:
        self.closed = True


def _cloaked(task: Task, certificate: Certificate) -> Cloaked:
    data = task.data + b" cloaked"
    update = {
        "input": certificate.input.model_copy(update={"sha256": hashlib.sha256(task.data).hexdigest()}),
        "output": certificate.output.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()}),
        "config": task.config,
    }
    return Cloaked(task.name, data, certificate.model_copy(update=update))


@pytest.fixture
def engine(certificate: Certificate) -> InlineEngine:
    return InlineEngine(certificate)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Source, which exists, and destination, which does not."""
    source = tmp_path / "portfolio"
    source.mkdir()
    return source, tmp_path / "cloaked"


Fill = Callable[..., None]


@pytest.fixture
def fill(folders: tuple[Path, Path]) -> Fill:
    """Writes files of a few bytes into the source; what is in them does not matter to the inline engine."""

    def write(*names: str) -> None:
        for name in names:
            path = folders[0] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"picture {name}".encode("utf-8", "surrogateescape"))

    return write


@pytest.fixture
def go(folders: tuple[Path, Path], engine: InlineEngine) -> Callable[..., list[Event]]:
    """Plans and works on the gallery of the two folders; returns all events."""

    def run(**options: Any) -> list[Event]:
        source, destination = map(str, folders)
        settings = {"config": CONFIG, "models": MODELS, **options}
        gallery = Gallery(settings.pop("source", source), settings.pop("destination", destination), **settings)
        with gallery.opened() as opened:
            return [*opened.plan(gallery.find()), *opened.work(engine)]

    return run


@pytest.fixture
def outputs(folders: tuple[Path, Path]) -> Callable[[], list[str]]:
    """Every file below the destination but the journal's."""

    def listed() -> list[str]:
        files = [path.relative_to(folders[1]) for path in folders[1].rglob("*") if path.is_file()]
        return sorted(path.as_posix() for path in files if path.parts[0] != ".artcloak")

    return listed
