"""A machine with too little memory, from the allocator's error to the finished picture."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from cloak import ProtectConfig, Protector
from cloak.failures import OUT_OF_MEMORY, explain
from cloak.gallery import Gallery, Worker
from cloak.gallery.tasks import Cloaked, Failed, Message, Task
from cloak.surrogates.tiny_autoencoder import TinyAutoencoder

CONFIG = ProtectConfig(effort="instant")
SIDE = 140  # pixels; the least that a picture is looked at with is 128
ERRORS = {  # as torch and Python say it
    "Linux": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"),
    "Windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    "GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 MiB."),
    "Python": MemoryError(),
}


class OneWorker:
    """A worker in the test's own process."""

    def __init__(self) -> None:
        self.worker, self.tasks, self.waiting = Worker(), [], []

    def workers(self) -> int:
        return 1

    def free(self) -> int:
        return 1 - len(self.waiting)

    def submit(self, tasks: Sequence[Task]) -> None:
        self.tasks += tasks
        self.waiting.append(tasks)

    def messages(self, timeout: float) -> Iterator[Message]:  # noqa: ARG002 (nothing to wait for)
        yield from self.worker.carry_out(self.waiting.pop())

    def is_gone(self, machine: str) -> bool:  # noqa: ARG002
        return False

    def close(self) -> None: ...


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "portfolio" / "a.png"
    path.parent.mkdir()
    Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(path)
    return path


def _short_of_memory(error: Exception, fits: Callable[[Tensor], bool]) -> Callable[..., list[Tensor]]:
    features = TinyAutoencoder._features

    def limited(self: TinyAutoencoder, x: Tensor) -> list[Tensor]:
        if x.requires_grad and not fits(x):
            raise error
        return features(self, x)

    return limited


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_allocator_is_understood(error: Exception) -> None:
    assert explain(error).kind == OUT_OF_MEMORY


def test_the_picture_is_looked_at_smaller_until_it_fits(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Protector(CONFIG.model_copy(update={"max_memory": 1_000_000_000}))(picture.read_bytes()).data
    monkeypatch.setattr(
        TinyAutoencoder, "_features", _short_of_memory(ERRORS["Linux"], lambda x: min(x.shape[-2:]) <= 128)
    )
    engine: Any = OneWorker()
    gallery = Gallery(str(picture.parent), str(tmp_path / "out"), config=CONFIG, models=["tiny-flux2", "tiny-sd1"])
    with gallery.opened() as opened:
        events = [*opened.plan(gallery.find()), *opened.work(engine)]
    assert [event.kind for event in events if event.kind != "progress"] == ["planned", "retry", "retry", "done"]
    assert [task.config.max_memory for task in engine.tasks] == [4_000_000_000, 2_000_000_000, 1_000_000_000]
    assert (tmp_path / "out" / "a.cloaked.png").read_bytes() == expected


def test_the_worker_goes_on_after_it(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, task = Worker(), Task("a.png", picture.read_bytes(), CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(TinyAutoencoder, "_features", _short_of_memory(ERRORS["GPU"], lambda _: False))
        *_, failed = worker.carry_out([task])
    assert isinstance(failed, Failed)
    assert failed.failure.kind == OUT_OF_MEMORY
    *_, cloaked = worker.carry_out([task])
    assert isinstance(cloaked, Cloaked)
