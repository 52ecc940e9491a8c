"""Among 200 malformed files three sound pictures: each bad one is named, nothing of it is left behind."""

import json
import random
import tempfile
from pathlib import Path

import pytest

from cloak.cli.main import run
from cloak.errors import InputError
from cloak.image import read_picture
from cloak.surrogates import embedded, store
from cloak.testing import write_toy_embedded

pytestmark = pytest.mark.slow


def is_readable(path):
    try:
        read_picture(path)
    except InputError:
        return False
    return True


@pytest.fixture
def weights(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    write_toy_embedded(folder)
    for module in (embedded, store):
        monkeypatch.setattr(module, "embedded_folder", lambda: folder)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def listing(folder):
    """Every name below a folder, with the contents of ordinary files."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


def assert_said(message, name):
    assert name in message
    assert message.endswith(".")
    assert len(message) < 400
    assert "Traceback" not in message


@pytest.mark.filterwarnings("ignore")  # as the command itself does
def test_bad_files_are_named_and_good_ones_done(
    weights, scratch, folder, tmp_path, write_bad_files, good_pictures, capsys
):
    bad = [path.name for path in write_bad_files(folder, is_readable)]
    assert len(bad) == 200
    for name, data in good_pictures.items():
        (folder / name).write_bytes(data)
    names = [*bad, *good_pictures]
    random.Random(2).shuffle(names)
    before, out = listing(folder), tmp_path / "out"

    code = run(["protect", *names, "--output", f"{out}/", "--effort", "instant", "--json"])

    captured = capsys.readouterr()
    rows = {row["input"]: row for row in map(json.loads, captured.out.splitlines())}
    assert code == 3
    assert list(rows) == names
    assert {name for name, row in rows.items() if row["status"] == "done"} == set(good_pictures)
    for name in bad:
        error = rows[name]["error"]
        assert (error["kind"], error["exit_code"], rows[name]["output"]) == ("InputError", 1, None)
        assert_said(error["message"], name)
        assert error["message"] in captured.err
    assert "Traceback" not in captured.err
    stems = [Path(name) for name in good_pictures]
    expected = {f"{name.stem}.cloaked{suffix}" for name in stems for suffix in (name.suffix, ".json")}
    assert {path.name for path in out.iterdir()} == expected
    assert listing(folder) == before
    assert not list(scratch.iterdir())


@pytest.mark.filterwarnings("ignore")
def test_nothing_but_bad_files_ends_with_one(weights, scratch, folder, write_bad_files, capsys):
    bad = [path.name for path in write_bad_files(folder, is_readable)]
    before = listing(folder)

    code = run(["protect", *bad, "--effort", "instant"])

    captured = capsys.readouterr()
    failed = [line for line in captured.err.splitlines() if line.startswith("Failed: ")]
    assert code == 1
    assert captured.out == ""
    assert len(failed) == len(bad)
    for line, name in zip(failed, bad, strict=True):
        assert_said(line, name)
    assert "Traceback" not in captured.err
    assert listing(folder) == before
    assert not list(scratch.iterdir())
