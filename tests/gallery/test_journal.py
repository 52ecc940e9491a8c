import sqlite3
from pathlib import Path

import pytest

from cloak.errors import OutputError
from cloak.gallery.journal import open_journal
from cloak.gallery.originals import Original


def _original(name: str) -> Original:
    return Original(name, Path("/art") / name)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    odd = "odd\udcff \u00e9.png"
    with open_journal(tmp_path / "j" / "journal.sqlite") as journal:
        journal.begin("settings")
        journal.find([_original(odd), Original("b.zip/a.png", Path("/art/b.zip"), "a.png")])
        journal.give_output(odd, "odd\udcff.cloaked.png")
        journal.done(odd, hashes={"input": "i", "settings": "s", "output": "o", "certificate": "c"}, seconds=2.0)
        journal.failed("b.zip/a.png", hashes={"input": None}, kind="InputError", message="Broken.")
    with open_journal(tmp_path / "j" / "journal.sqlite") as journal:
        journal.begin("settings")
        journal.find([_original(odd), Original("b.zip/a.png", Path("/art/b.zip"), "a.png")])
        (done,) = journal.rows("done")
        (failed,) = journal.rows("failed")
        assert (done.original, done.output, done.output_sha256) == (_original(odd), "odd\udcff.cloaked.png", "o")
        assert (failed.original.member, failed.kind, failed.message) == ("a.png", "InputError", "Broken.")
        assert journal.counts() == {"waiting": 0, "done": 1, "failed": 1}


def test_a_run_has_only_what_it_finds(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("settings")
        journal.find([_original("gone.png")])
        journal.begin("settings")
        journal.find([_original("here.png")])
        assert [row.original.name for row in journal.rows("waiting")] == ["here.png"]


def test_rows_may_change_while_they_are_read(tmp_path: Path) -> None:
    names = [f"{number:04d}.png" for number in range(500)]
    with open_journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("settings")
        journal.find(map(_original, names))
        seen = []
        for row in journal.rows("waiting"):
            seen.append(row.original.name)
            journal.failed(row.original.name, hashes={}, kind="", message="")
        assert seen == names


def test_names_too_much_alike_are_taken(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("settings")
        journal.find([_original("a.png"), _original("A.jpg")])
        journal.give_output("a.png", "a.cloaked.png")
        assert journal.is_taken("A.jpg", "A.cloaked.jpg")
        assert not journal.is_taken("a.png", "a.cloaked.png")


def test_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "out" / ".artcloak" / "journal.sqlite"
    with open_journal(path), pytest.raises(OutputError, match="Another run is at work on"), open_journal(path):
        pass
    with open_journal(path):  # it ended, so the next one may
        pass


def test_a_damaged_journal_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database" * 500)
    with pytest.raises(OutputError, match="move it away"), open_journal(path):
        pass


def test_a_later_journal_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OutputError, match="later version"), open_journal(path):
        pass


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    def fill() -> None:
        with open_journal(tmp_path / "journal.sqlite") as journal:
            journal._connection.execute("PRAGMA max_page_count = 8")
            journal.begin("settings")
            journal.find(_original(f"{number}" * 50) for number in range(10_000))

    with pytest.raises(OutputError, match="disk is full"):
        fill()
