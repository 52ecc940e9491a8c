"""Small pictures of one size go to a worker together, unless others would be idle meanwhile."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cloak import ProtectConfig, Protector
from cloak.gallery import Event, Gallery, LocalEngine, Worker
from cloak.gallery.events import Tally
from cloak.gallery.grouping import gains, grouped
from cloak.gallery.tasks import Lost, Task
from cloak.image.sources import announced_size

CONFIG = ProtectConfig(effort="instant", device="cpu")


def _file(size: tuple[int, int] = (40, 30), kind: str = "PNG", colour: int = 90) -> bytes:
    stored = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").point(lambda v: v // 2 + colour).save(stored, kind)
    return stored.getvalue()


def _tasks(*sizes: int) -> list[Task]:
    return [Task(f"{place}", _file((side, side)), CONFIG) for place, side in enumerate(sizes)]


def _groups(*found: Any, share: int = 99) -> list[Any]:
    groups = grouped(iter(found), lambda _: share)
    return [group if isinstance(group, Event) else [task.name for task in group] for group in groups]


def test_those_of_one_size_are_together_at_most_eight() -> None:
    assert _groups(*_tasks(40, 41, 40, 41, 40)) == [["0", "2", "4"], ["1", "3"]]
    assert [len(group) for group in _groups(*_tasks(*[40] * 20))] == [8, 8, 4]
    assert [len(group) for group in _groups(*_tasks(*[40] * 5), share=2)] == [2, 2, 1]
    assert [len(group) for group in _groups(*_tasks(*[129] * 3))] == [1, 1, 1]


def test_large_or_unknown_ones_and_events_pass_but_not_for_ever() -> None:
    event = Event("failed", Tally(), "broken")
    small, large = _tasks(40, 300)
    unknown = Task("unknown", b"no picture", CONFIG)
    assert _groups(small, large, event, unknown) == [["1"], event, ["unknown"], ["0"]]
    groups = _groups(small, *[unknown] * 60, small)
    assert groups.index(["0"]) == 24
    read: list[int] = []
    many = (read.append(number) or small for number in range(1000))
    next(grouped(many, lambda _: 8))
    assert len(read) == 24  # no more is read than is held


def test_what_a_header_says_is_enough() -> None:
    for kind in ("PNG", "JPEG", "BMP"):
        assert announced_size(_file((40, 30), kind)) == (30, 40)
        assert announced_size(_file((40, 30), kind)[:20]) in (None, (30, 40))
    for nothing in (_file((40, 30), "WEBP"), b"", b"\x89PNG\r\n\x1a\n" + b"\xff" * 40, b"\xff\xd8\xff" + b"\0" * 99):
        assert announced_size(nothing) is None


def test_only_where_it_was_found_to_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gains(CONFIG)
    assert not gains(CONFIG.model_copy(update={"method": "mist"}))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert gains(CONFIG)
    assert not gains(CONFIG.model_copy(update={"device": "auto"}))


def test_with_few_pictures_every_worker_has_some(go: Callable[..., list[Event]], folders: Any, engine: Any) -> None:
    for number in range(13):
        (folders[0] / f"{number:02}.png").write_bytes(_file())
    events = go(config=CONFIG)
    assert sum(event.kind == "done" for event in events) == 13
    assert [len(group) for group in engine.groups] == [6, 3, 2, 1, 1]  # of two workers


def test_a_loss_among_others_is_not_held_against_anyone(
    go: Callable[..., list[Event]], folders: Any, engine: Any
) -> None:
    for name in ("a", "b", "c", "poison"):
        (folders[0] / f"{name}.png").write_bytes(_file())
    engine.answers = {f"{name}.png": [Lost(f"{name}.png", alone=False)] for name in ("a", "b")}
    engine.answers["poison.png"] = [Lost("poison.png", alone=False), Lost("poison.png"), Lost("poison.png")]
    events = go(config=CONFIG)
    assert sorted(event.name for event in events if event.kind == "done") == ["a.png", "b.png", "c.png"]
    assert [event.name for event in events if event.kind == "failed"] == ["poison.png"]
    assert engine.groups[:2] == [["a.png", "b.png"], ["c.png"]]
    assert all(len(group) == 1 for group in engine.groups[2:])


def test_a_gallery_with_real_workers_has_the_bytes_of_single_pictures(tmp_path: Path) -> None:
    source = tmp_path / "portfolio"
    source.mkdir()
    for number in range(5):
        kind, suffix = [("PNG", "png"), ("JPEG", "jpg")][number % 2]
        (source / f"{number}.{suffix}").write_bytes(_file((40, 30), kind, 10 * number))
    (source / "broken.png").write_bytes(_file()[:100])
    gallery = Gallery(str(source), str(tmp_path / "out"), config=CONFIG, models=["tiny-flux2", "tiny-sd1"])
    engine = LocalEngine(workers=1, device="cpu", factory=Worker)
    try:
        with gallery.opened() as opened:
            events = [*opened.plan(gallery.find()), *opened.work(engine)]
    finally:
        engine.close()
    assert [event.name for event in events if event.kind == "failed"] == ["broken.png"]
    protector = Protector(CONFIG)
    done = {event.name: event.output for event in events if event.kind == "done"}
    assert len(done) == 5
    for name, output in done.items():
        assert (tmp_path / "out" / str(output)).read_bytes() == protector((source / name).read_bytes()).data
