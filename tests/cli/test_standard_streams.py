"""`-` reads standard input and writes the picture to standard output."""

import io
import sys
from types import SimpleNamespace

import pytest

from cloak.cli.main import run


@pytest.fixture
def piped(monkeypatch, picture):
    """The bytes of a picture on standard input."""
    data = picture("a.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False))
    return data


def test_stdin_to_stdout(stub, piped, capsysbinary):
    assert run(["protect", "-"]) == 0
    captured = capsysbinary.readouterr()
    assert captured.out == piped
    assert b"standard output" in captured.err


def test_file_to_stdout(stub, picture, folder, capsysbinary):
    data = picture("a.png").read_bytes()
    assert run(["protect", "a.png", "-o", "-"]) == 0
    assert capsysbinary.readouterr().out == data
    assert [path.name for path in folder.iterdir()] == ["a.png"]


def test_stdin_to_a_file_may_print_json(stub, piped, folder, cloak_command):
    ran = cloak_command("protect", "-", "-o", "b.jpg", "--json")
    assert ran.code == 0
    assert ran.rows[0]["input"] == "-"
    assert (folder / "b.jpg").is_file()
    assert stub.settings.format == "jpeg"


def test_empty_stdin_is_named(stub, monkeypatch, cloak_command):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b""), isatty=lambda: False))
    ran = cloak_command("protect", "-")
    assert ran.code == 1
    assert "Standard input was empty" in ran.err


def test_picture_is_not_thrown_at_a_terminal(stub, piped, cloak_command, monkeypatch):
    monkeypatch.setattr("cloak.cli.protect.sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))
    ran = cloak_command("protect", "-")
    assert ran.code == 2
    assert "redirect" in ran.err
