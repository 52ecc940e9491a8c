"""What a run promises, with an engine that works at once: nothing lost, half-written or done twice."""

import errno
import json
import os
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloak import ProtectConfig
from cloak.errors import OutputError, UsageError
from cloak.failures import Failure
from cloak.gallery import Event, Gallery
from cloak.gallery.journal import Journal
from cloak.gallery.stores import FolderStore
from cloak.gallery.tasks import Failed, Lost

Go = Callable[..., list[Event]]
Folders = tuple[Path, Path]
Listed = Callable[[], list[str]]


def _names(events: list[Event], kind: str) -> list[str]:
    return sorted(event.name for event in events if event.kind == kind)


def test_the_folders_are_kept(go: Go, fill: Any, outputs: Listed, folders: Folders) -> None:
    fill("a.png", "x/y/b.jpg")
    events = go()
    assert _names(events, "done") == ["a.png", "x/y/b.jpg"]
    assert outputs() == ["a.cloaked.json", "a.cloaked.png", "x/y/b.cloaked.jpg", "x/y/b.cloaked.json"]
    certificate = json.loads((folders[1] / "x/y/b.cloaked.json").read_text())
    assert certificate["output"]["name"] == "b.cloaked.jpg"
    assert events[-1].tally.done == 2
    assert events[-1].tally.waiting == 0


def test_a_second_run_does_nothing(go: Go, fill: Any, engine: Any) -> None:
    fill("a.png", "b.png")
    go()
    engine.tasks.clear()
    events = go()
    assert not engine.tasks
    assert events[-1].tally.kept == 2


def test_a_changed_original_is_done_again_and_only_it(go: Go, fill: Any, engine: Any, folders: Folders) -> None:
    fill("a.png", "b.png")
    go()
    engine.tasks.clear()
    (folders[0] / "a.png").write_bytes(b"another")
    go()
    assert [task.name for task in engine.tasks] == ["a.png"]
    assert (folders[1] / "a.cloaked.png").read_bytes() == b"another cloaked"


@pytest.mark.parametrize("damage", ["picture", "certificate", "removed"])
def test_done_means_that_the_result_is_as_it_was_written(
    go: Go, fill: Any, engine: Any, folders: Folders, damage: str
) -> None:
    fill("a.png", "b.png")
    go()
    engine.tasks.clear()
    path = folders[1] / ("a.cloaked.json" if damage == "certificate" else "a.cloaked.png")
    if damage == "removed":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[3] ^= 1
        path.write_bytes(data)
    go()
    assert [task.name for task in engine.tasks] == ["a.png"]
    assert (folders[1] / "a.cloaked.png").read_bytes() == b"picture a.png cloaked"


def test_changed_settings_are_done_again_but_not_where_it_is_computed(go: Go, fill: Any, engine: Any) -> None:
    fill("a.png")
    go()
    engine.tasks.clear()
    go(config=ProtectConfig(effort="instant", device="cpu", max_memory=2_000_000_000))
    assert not engine.tasks
    go(config=ProtectConfig(effort="instant", strength="subtle"))
    assert len(engine.tasks) == 1
    go(config=ProtectConfig(effort="instant", strength="subtle"), models=["sd15"])
    assert len(engine.tasks) == 2


def test_a_changed_key_is_done_again(go: Go, fill: Any, engine: Any, tmp_path: Path) -> None:
    fill("a.png")
    key = tmp_path / "key.json"
    for contents in ("one", "one", "two"):
        key.write_text(contents)
        go(config=ProtectConfig(effort="instant", key=key))
    assert len(engine.tasks) == 2


def test_results_that_would_collide_are_kept_apart(go: Go, fill: Any, outputs: Listed) -> None:
    fill("a.png", "a.jpg", "A.webp", "e\u0301.png", "x/a.png")
    (composed,) = [unicodedata.normalize("NFC", "e\u0301.bmp")]
    fill(composed)
    events = go()
    assert len(_names(events, "done")) == 6
    pictures = [name for name in outputs() if not name.endswith(".json")]
    assert len(pictures) == 6
    assert len({unicodedata.normalize("NFC", name).casefold() for name in outputs()}) == 12
    assert not _names(go(), "done")  # and the names stay


def test_odd_names_survive(go: Go, fill: Any, folders: Folders) -> None:
    name = os.fsdecode(b"odd\xff.png")
    fill(name, "картина.png")
    assert len(_names(go(), "done")) == 2
    assert (folders[1] / os.fsdecode(b"odd\xff.cloaked.png")).is_file()
    assert not _names(go(), "done")


def test_a_file_of_somebody_else_is_not_replaced(go: Go, fill: Any, folders: Folders) -> None:
    fill("a.png")
    folders[1].mkdir()
    (folders[1] / "a.cloaked.png").write_bytes(b"mine")
    (event,) = (event for event in go() if event.kind == "failed")
    assert "was not written by this gallery" in event.message
    assert (folders[1] / "a.cloaked.png").read_bytes() == b"mine"
    assert _names(go(retry_failed=True, overwrite=True), "done") == ["a.png"]
    assert (folders[1] / "a.cloaked.png").read_bytes() == b"picture a.png cloaked"


def test_a_lost_journal_costs_nothing(go: Go, fill: Any, engine: Any, folders: Folders) -> None:
    fill("a.png", "b.png")
    go()
    engine.tasks.clear()
    for path in (folders[1] / ".artcloak").iterdir():
        path.unlink()
    (folders[1] / "b.cloaked.png").write_bytes(b"damaged")
    events = go()
    assert events[-1].tally.kept == 1
    assert _names(events, "failed") == ["b.png"]  # not the file that its certificate is about
    assert not engine.tasks


def test_failures_have_reasons_and_are_tried_again_when_asked(go: Go, fill: Any, engine: Any) -> None:
    fill("a.png", "b.png")
    broken = Failed("a.png", Failure("InputError", "a.png is broken.", 1))
    engine.answers = {"a.png": [broken, broken]}
    assert _names(go(), "failed") == ["a.png"]
    engine.tasks.clear()
    events = go()
    assert not engine.tasks
    assert (events[-1].tally.kept, events[-1].tally.failed) == (1, 1)
    assert _names(go(retry_failed=True), "failed") == ["a.png"]
    assert _names(go(retry_failed=True), "done") == ["a.png"]


def test_a_failed_picture_is_tried_again_when_it_changes(go: Go, fill: Any, engine: Any, folders: Folders) -> None:
    fill("a.png")
    engine.answers = {"a.png": [Failed("a.png", Failure("InputError", "Broken.", 1))]}
    go()
    (folders[0] / "a.png").write_bytes(b"repaired")
    assert _names(go(), "done") == ["a.png"]


def test_without_memory_it_is_tried_with_less(go: Go, fill: Any, engine: Any) -> None:
    fill("a.png")
    short = Failed("a.png", Failure("OutOfMemory", "There was not enough memory.", 1))
    engine.answers = {"a.png": [short, short]}
    events = go()
    assert [task.config.max_memory for task in engine.tasks] == [4_000_000_000, 2_000_000_000, 1_000_000_000]
    assert (_names(events, "retry"), _names(events, "done")) == (["a.png"] * 2, ["a.png"])
    assert not _names(go(), "done")


def test_without_any_memory_it_fails(go: Go, fill: Any, engine: Any) -> None:
    fill("a.png", "b.png")
    engine.answers = {"a.png": [Failed("a.png", Failure("OutOfMemory", "There was not enough memory.", 1))] * 9}
    events = go()
    assert (_names(events, "failed"), _names(events, "done")) == (["a.png"], ["b.png"])


def test_a_lost_worker_costs_nothing_and_poison_is_put_aside(go: Go, fill: Any, engine: Any) -> None:
    fill("a.png", "b.png", "poison.png")
    engine.answers = {"a.png": [Lost("a.png")], "poison.png": [Lost("poison.png")] * 5}
    events = go()
    assert (_names(events, "done"), _names(events, "failed")) == (["a.png", "b.png"], ["poison.png"])
    assert [task.name for task in engine.tasks].count("poison.png") == 2


def test_machines_that_were_lost_are_not_held_against_a_picture_but_for_the_fifth_time(
    go: Go, fill: Any, engine: Any
) -> None:
    fill("a.png", "b.png", "c.png")
    engine.gone = {"1", "2", "3"}
    engine.answers = {
        "a.png": [Lost("a.png", machine="1"), Lost("a.png", machine="2"), Lost("a.png", machine="4")],
        "b.png": [Lost("b.png", machine="1"), Lost("b.png", machine="4"), Lost("b.png", machine="5")],
        "c.png": [Lost("c.png", machine="3")] * 9,
    }
    events = go()
    assert (_names(events, "done"), _names(events, "failed")) == (["a.png"], ["b.png", "c.png"])
    assert [task.name for task in engine.tasks].count("c.png") == 5
    memory = [task.config.max_memory // 10**9 for task in engine.tasks if task.name == "a.png"]
    assert memory == [4, 4, 4, 2]


def test_permissions_and_times_are_those_of_the_original(go: Go, fill: Any, folders: Folders) -> None:
    fill("a.png")
    os.chmod(folders[0] / "a.png", 0o640)
    os.utime(folders[0] / "a.png", (1_000_000, 2_000_000))
    go()
    status = (folders[1] / "a.cloaked.png").stat()
    assert (status.st_mode & 0o777, status.st_mtime) == (0o640, 2_000_000)


def test_archives_keep_their_folders(go: Go, folders: Folders, outputs: Listed) -> None:
    with zipfile.ZipFile(folders[0] / "book.cbz", "w") as packed:
        packed.writestr("1/a.png", b"one")
        packed.writestr("../evil.png", b"evil")
    events = go()
    assert outputs() == ["book.cbz/1/a.cloaked.json", "book.cbz/1/a.cloaked.png"]
    assert _names(events, "left") == ["book.cbz/../evil.png"]
    assert events[-1].tally.problems == 1


def test_originals_are_never_the_place_of_results(folders: Folders) -> None:
    with pytest.raises(UsageError, match="cannot go into the folder of the originals"):
        Gallery(str(folders[0]), f"{folders[0]}/.", config=ProtectConfig(), models=[])


def test_a_folder_of_results_within_the_originals_is_left_out(go: Go, fill: Any, folders: Folders, engine: Any) -> None:
    fill("a.png")
    go(destination=str(folders[0] / "out"))
    engine.tasks.clear()
    go(destination=str(folders[0] / "out"))
    assert not engine.tasks


def test_a_full_disk_stops_the_run_and_loses_nothing(
    go: Go, fill: Any, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("a.png", "b.png", "c.png")
    write = FolderStore.write

    def full(self: FolderStore, name: str, data: bytes, **options: Any) -> None:
        if name.startswith("b"):
            raise OutputError("The disk is full.") from OSError(errno.ENOSPC, "No space left on device")
        write(self, name, data, **options)

    monkeypatch.setattr(FolderStore, "write", full)
    with pytest.raises(OutputError, match="disk is full"):
        go()
    monkeypatch.undo()
    engine.waiting.clear()
    engine.tasks.clear()
    assert _names(go(), "done") == ["b.png", "c.png"]


class _KilledError(BaseException):
    """Stands for the end of the process."""


def test_killed_before_and_after_every_step_it_goes_on(
    go: Go, fill: Any, engine: Any, outputs: Listed, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Nth step that changes a file or the journal does not happen, or is the last one, for N = 1, 2, ..."""
    fill("a.png", "a.jpg", "b.png")
    countdown = [0]
    for owner, name in [(FolderStore, "write"), (Journal, "give_output"), (Journal, "done"), (Journal, "find")]:
        monkeypatch.setattr(owner, name, _mortal(getattr(owner, name), countdown))
    kills = 0
    for step in range(1, 200):
        countdown[0] = step
        engine.waiting.clear()
        try:
            go()
        except _KilledError:
            kills += 1
            if step % 3 == 0:  # go on from where it was killed, or from the beginning
                continue
        else:
            if countdown[0] > 0:
                break
        for path in sorted(folders[1].rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    countdown[0] = 10**6
    go()
    assert kills > 10
    pictures = [name for name in outputs() if not name.endswith(".json")]
    assert len(pictures) == 3
    for name in pictures:
        recorded = json.loads((folders[1] / name).with_suffix(".json").read_text())["input"]["sha256"]
        assert recorded
    assert len(outputs()) == 6


def _mortal(function: Callable[..., Any], countdown: list[int]) -> Callable[..., Any]:
    def called(*args: Any, **options: Any) -> Any:
        countdown[0] -= 1
        if countdown[0] == 0:
            raise _KilledError
        result = function(*args, **options)
        countdown[0] -= 1
        if countdown[0] == 0:
            raise _KilledError
        return result

    return called


def test_results_go_to_any_place_that_fsspec_reaches(
    go: Go, fill: Any, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    fill("x/a.png", "b.png")
    go(destination="memory://bucket/cloaked")
    system = fsspec.filesystem("memory")
    assert system.cat_file("/bucket/cloaked/x/a.cloaked.png") == b"picture x/a.png cloaked"
    engine.tasks.clear()
    system.pipe_file("/bucket/cloaked/b.cloaked.png", b"damaged")
    go(destination="memory://bucket/cloaked")
    assert [task.name for task in engine.tasks] == ["b.png"]
