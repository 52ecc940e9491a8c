"""`cloak sign` on the disk: in place for our own outputs, certificates kept true, originals left alone."""

import hashlib
import json
from pathlib import Path

import pytest

from cloak.certificate import Certificate
from cloak.cli import engine
from cloak.cli.main import run
from cloak.image import read_picture
from cloak.protect import Protector
from cloak.provenance import read_credentials
from cloak.surrogates import embedded, store
from cloak.testing import write_toy_embedded


@pytest.fixture
def folder(tmp_path, monkeypatch):
    models = tmp_path / "models"
    models.mkdir()
    write_toy_embedded(models)
    for module in (embedded, store):
        monkeypatch.setattr(module, "embedded_folder", lambda: models)
    (tmp_path / "art").mkdir()
    monkeypatch.chdir(tmp_path / "art")
    return tmp_path / "art"


@pytest.fixture
def command(artist, capsys):
    def call(*arguments):
        code = run(["sign", *arguments, "--certificate", str(artist.certificate), "--key", str(artist.key), "--json"])
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return call


def _protect(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return Protector(effort="instant", device="cpu")(path).path


def _certificate(path: Path) -> Certificate:
    return Certificate.model_validate_json(path.with_suffix(".json").read_bytes())


def test_a_cloaked_picture_is_signed_in_place_with_its_certificate(folder, drawing, command, capsys):
    path = _protect(folder / "a.png", drawing("PNG"))
    before, unsigned = _certificate(path), path.read_bytes()
    code, (row,), _ = command(path.name)
    assert (code, row["status"], row["credentials"]["valid"]) == (0, "done", True)
    after, signed = _certificate(path), path.read_bytes()
    assert read_credentials(signed).training == "notAllowed"
    assert after.output.sha256 == hashlib.sha256(signed).hexdigest() != before.output.sha256
    assert after.output.bytes == len(signed)
    assert after.signature.unsigned_sha256 == hashlib.sha256(unsigned).hexdigest()
    assert after.signature.signer == "An Artist"
    same = {"output", "signature"}
    assert after.model_dump(exclude=same) == before.model_dump(exclude=same)
    assert run(["inspect", path.name, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["certificate"]["matches"]
    assert shown["credentials"]["signer"] == "An Artist"
    assert sorted(each.name for each in folder.iterdir()) == ["a.cloaked.json", "a.cloaked.png", "a.png"]


def test_into_a_folder_the_certificate_goes_along(folder, drawing, command):
    path = _protect(folder / "a.jpg", drawing("JPEG", quality=95))
    before = path.read_bytes()
    (folder / "out").mkdir()
    assert command(path.name, "-o", "out")[0] == 0
    assert path.read_bytes() == before
    written = folder / "out" / path.name
    assert _certificate(written).output.sha256 == hashlib.sha256(written.read_bytes()).hexdigest()
    assert command(path.name, "-o", "out")[0] == 1
    assert command(path.name, "-o", "out", "--overwrite")[0] == 0


def test_an_original_is_not_signed_in_place_unless_asked(folder, drawing, command):
    data = drawing("PNG")
    (folder / "a.png").write_bytes(data)
    code, (row,), said = command("a.png")
    assert (code, row["credentials"]) == (1, None)
    assert "may be your original" in said
    assert (folder / "a.png").read_bytes() == data
    assert command("a.png", "-o", "b.png")[0] == 0
    assert command("a.png", "--overwrite")[0] == 0
    assert not list(folder.glob("*.json"))


def test_one_that_cannot_be_signed_does_not_stop_the_rest(folder, drawing, command):
    (folder / "a.png").write_bytes(b"broken")
    (folder / "b.png").write_bytes(drawing("PNG"))
    (folder / "out").mkdir()
    code, rows, said = command("a.png", "b.png", "gone.png", "-o", "out")
    assert code == 3
    assert [row["status"] for row in rows] == ["failed", "done", "failed"]
    assert "Traceback" not in said


def test_wrong_usage(folder, drawing, command):
    assert command()[0] == 2
    assert command("a.png", "b.png", "-o", "c.png")[0] == 2


def test_protecting_a_signed_picture_drops_its_credentials_and_says_so(folder, drawing, command, capsys):
    (folder / "a.png").write_bytes(drawing("PNG"))
    assert command("a.png", "-o", "b.png")[0] == 0
    assert run(["protect", "b.png", "--effort", "instant", "--device", "cpu"]) == 0
    assert "Left out, since it no longer holds" in capsys.readouterr().err
    written = folder / "b.cloaked.png"
    assert not read_picture(written).manifest
    assert _certificate(written).left_out == ["Content Credentials (C2PA)"]
    assert read_picture(folder / "b.png").manifest


def test_without_the_extra_the_exit_code_says_so(folder, drawing, command, monkeypatch, capsys):
    (folder / "a.png").write_bytes(drawing("PNG"))
    assert command("a.png", "--overwrite")[0] == 0
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    code, _, said = command("a.png", "--overwrite")
    assert code == 5
    assert "artcloak[provenance]" in said
    assert run(["inspect", "a.png"]) == 0
    assert "to check them" in " ".join(capsys.readouterr().out.split())


def test_the_password_comes_from_the_environment(folder, identity, drawing, monkeypatch, capsys):
    own = identity(password="open")
    (folder / "a.png").write_bytes(drawing("PNG"))
    words = ["sign", "a.png", "-o", "b.png", "--certificate", str(own.certificate), "--key", str(own.key)]
    assert run(words) == 2
    monkeypatch.setenv("ARTCLOAK_SIGN_PASSWORD", "open")
    assert run(words) == 0
    assert engine.read_credentials(folder / "b.png")["valid"]
