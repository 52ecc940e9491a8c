"""Real workers in processes of their own."""

import io
import multiprocessing
import time

import pytest
from PIL import Image

from cloak import ProtectConfig, Protector
from cloak.gallery import LocalEngine, Worker, default_workers
from cloak.gallery.tasks import Cloaked, Failed, Lost, Message, Progress, Task

CONFIG = ProtectConfig(effort="instant")


def _task(name: str, colour: tuple[int, int, int] = (200, 120, 40)) -> Task:
    stored = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").point(lambda v: v // 2 + colour[0] // 4).save(
        stored, "PNG"
    )
    return Task(name, stored.getvalue(), CONFIG)


def _ends(engine: LocalEngine, count: int) -> list[Message]:
    """Messages until so many tasks have ended."""
    ends: list[Message] = []
    while len(ends) < count:
        ends += [message for message in engine.messages(1.0) if not isinstance(message, Progress)]
    return ends


def test_workers_give_the_bytes_that_a_protector_gives_and_survive_their_end() -> None:
    engine = LocalEngine(workers=1, device="cpu", factory=Worker)
    try:
        task = _task("a.png")
        engine.submit([task])
        assert engine.free() == 0
        (cloaked,) = _ends(engine, 1)
        assert isinstance(cloaked, Cloaked)
        assert cloaked.data == Protector(CONFIG)(task.data).data
        assert cloaked.certificate.input.name == "a.png"
        assert engine.free() == 1

        engine.submit([Task("b.png", b"no picture", CONFIG)])
        (failed,) = _ends(engine, 1)
        assert isinstance(failed, Failed)
        assert failed.failure.kind == "InputError"

        for names in (["c.png"], ["d.png", "e.png"]):
            engine.submit([_task(name) for name in names])
            time.sleep(0.1)
            (child,) = multiprocessing.active_children()
            child.kill()
            assert _ends(engine, len(names)) == [Lost(name, alone=len(names) == 1) for name in names]
            assert engine.free() == engine.workers() == 1  # there is a new one
    finally:
        engine.close()
    assert not multiprocessing.active_children()


def test_workers_are_as_many_as_cores_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloak.gallery import engines

    monkeypatch.setattr(engines, "_cores", lambda: range(8))
    monkeypatch.setattr(engines, "free_memory", lambda: 10_000_000_000)
    assert default_workers("cpu") == 3
    monkeypatch.setattr(engines, "free_memory", lambda: 1)
    assert default_workers("cpu") == 1
    monkeypatch.setattr(engines, "free_memory", lambda: None)
    assert default_workers("cpu") == 8
    assert default_workers("mps") == 1
