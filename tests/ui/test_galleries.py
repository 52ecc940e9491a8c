"""Galleries without a browser: what gets in, what is written down, what goes on after a restart."""

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloak.config import ProtectConfig
from cloak.errors import InputError
from cloak_ui import jobs
from cloak_ui.galleries import Galleries
from cloak_ui.jobs import Desk
from cloak_ui.limits import Limits
from cloak_ui.tasks import Failed, Finished, Task


class Copier:
    """A working process that copies pictures, and fails for those called bad; it waits while `hold` is set."""

    hold = False

    def __init__(self, _: Limits) -> None:
        self.alive, self.enough, self.answer = True, self, None

    def set(self) -> None:
        pass

    def begin(self, task: Task, folder: Path) -> None:
        if "bad" in task.source.name:
            self.answer = Failed("InputError", "This is no picture.")
            return
        picture = folder / f"{task.source.stem}.cloaked.png"
        picture.write_bytes(task.source.read_bytes())
        certificate = folder / f"{task.source.stem}.cloaked.json"
        certificate.write_text(json.dumps({"of": task.source.name, "output": {"name": picture.name}}))
        self.answer = Finished({"picture": picture, "certificate": certificate})

    def hear(self, _: float) -> Any:
        if Copier.hold:
            time.sleep(0.01)
            return None
        answer, self.answer = self.answer, None
        return answer

    def kill(self) -> None:
        self.alive = False


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], Galleries]]:
    """Each call is a start of the server; the one before is ended."""
    monkeypatch.setattr(jobs, "_Worker", Copier)
    monkeypatch.setattr(Copier, "hold", False)
    desks: list[Desk] = []

    def start() -> Galleries:
        for desk in desks:
            desk.close()
        limits = Limits(gallery_pictures=6, max_bytes=10_000, gallery_bytes=50_000)
        desks.append(Desk(tmp_path / "jobs", limits))
        return Galleries(desks[-1], tmp_path / "galleries")

    yield start
    for desk in desks:
        desk.close()


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return path


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within five seconds"
        time.sleep(0.01)


def test_names_in_archives_can_neither_leave_nor_replace(open_page: Callable[[], Galleries], tmp_path: Path) -> None:
    names = ["../../evil.png", "/etc/passwd", "C:\\x\\a.png", "a/same.png", "A/SAME.png", "__MACOSX/a.png"]
    packed = archive(tmp_path / "all.zip", {name: name.encode() for name in names})
    galleries = open_page()
    gallery = galleries.create("me", [packed], ProtectConfig())
    originals = galleries.place(gallery) / "originals"
    found = [
        path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() in [n.encode() for n in names]
    ]
    assert len(found) == 5
    assert all(originals in path.parents for path in found)
    assert list(gallery.pictures)[:3] == ["evil.png", "etc/passwd", "x/a.png"]


@pytest.mark.parametrize(
    "entries",
    [{f"{index}.png": b"x" for index in range(7)}, {"bomb.png": bytes(2_000_000)}, {"a.png": bytes(20_000)}],
)
def test_archives_that_are_too_much_are_refused_and_leave_nothing(
    open_page: Callable[[], Galleries], tmp_path: Path, entries: dict[str, bytes]
) -> None:
    galleries = open_page()
    with pytest.raises(InputError):
        galleries.create("me", [archive(tmp_path / "all.zip", entries)], ProtectConfig())
    assert list(galleries.folder.iterdir()) == []
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match="anew"):
        galleries.create("me", [tmp_path / "broken.zip"], ProtectConfig())


def test_a_bad_picture_stops_no_other_and_all_is_packed(open_page: Callable[[], Galleries], tmp_path: Path) -> None:
    packed = archive(tmp_path / "all.zip", {"x/a.png": b"1", "x/a.jpg": b"2", "x/bad.png": b"3", "c.png": b"4"})
    galleries = open_page()
    gallery = galleries.create("me", [packed], ProtectConfig(format="png"))
    galleries.start(gallery)
    until(lambda: not galleries.is_running(gallery))
    assert [picture.state for picture in gallery.pictures.values()] == ["done", "done", "failed", "done"]
    assert gallery.pictures["x/bad.png"].message == "This is no picture."
    with zipfile.ZipFile(galleries.pack(gallery)) as result:
        contents = {name: result.read(name) for name in result.namelist()}
    pictures = {name: data for name, data in contents.items() if not name.endswith(".json")}
    assert pictures == {"c.cloaked.png": b"4", "x/a.cloaked.png": b"1", "x/a.jpg.cloaked.png": b"2"}
    certificate = {"of": "a.jpg", "output": {"name": "a.jpg.cloaked.png"}}
    assert json.loads(contents["x/a.jpg.cloaked.json"]) == certificate


def test_pause_and_restart_do_no_picture_twice(
    open_page: Callable[[], Galleries], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = archive(tmp_path / "all.zip", {"a.png": b"1", "b.png": b"2"})
    galleries = open_page()
    gallery = galleries.create("me", [packed], ProtectConfig())
    galleries.start(gallery)
    until(lambda: gallery.pictures["a.png"].state == "done")
    monkeypatch.setattr(Copier, "hold", True)
    galleries.pause(gallery)
    until(lambda: not galleries.is_running(gallery))
    first = (galleries.place(gallery) / "cloaked" / "a.cloaked.png").stat().st_mtime_ns
    again = open_page()
    found = again.find("me", gallery.id)
    assert found is not None
    assert again.find("you", gallery.id) is None
    assert "a.png" not in found.pending
    monkeypatch.setattr(Copier, "hold", False)
    again.start(found)
    until(lambda: not again.is_running(found))
    assert found.pending == []
    assert (again.place(found) / "cloaked" / "a.cloaked.png").stat().st_mtime_ns == first


def test_a_new_gallery_replaces_the_owners_earlier_one_only(open_page: Callable[[], Galleries], tmp_path: Path) -> None:
    packed, galleries = archive(tmp_path / "all.zip", {"a.png": b"1"}), open_page()
    mine, yours = (galleries.create(owner, [packed], ProtectConfig()) for owner in ("me", "you"))
    galleries.create("me", [packed], ProtectConfig())
    assert galleries.find("me", mine.id) is None
    assert not galleries.place(mine).exists()
    assert galleries.find("you", yours.id) is not None
