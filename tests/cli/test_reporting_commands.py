"""`inspect`, `models`, `methods`, `doctor`, `--version`: tables for people, JSON for scripts."""

import json
from pathlib import Path

import pytest
from PIL import Image

from cloak import __version__
from cloak.cli import engine
from cloak.errors import ModelError
from cloak.image import PROHIBITED_TRAINING, encode_picture, read_picture
from cloak.methods import METHODS
from cloak.registry import Registry


@pytest.fixture
def models(stub, monkeypatch, tmp_path):
    rows = [("tiny-flux2", "embedded"), ("taesd", "present"), ("sd15", "absent")]
    common = {"bytes": 10**7, "licence": "MIT", "family": "sd1", "summary": "A model", "capabilities": ["encode"]}
    common |= {"complete": True, "consent": False, "groups": []}
    monkeypatch.setattr(
        engine, "known_models", lambda: [{"name": name, "state": state, **common} for name, state in rows]
    )
    monkeypatch.setattr(engine, "store_folder", lambda: tmp_path)
    monkeypatch.setattr(engine, "verify_model", lambda *_: [Path("weights.safetensors")])


def test_version(cloak_command):
    ran = cloak_command("--version")
    assert (ran.code, ran.out) == (0, f"cloak {__version__}\n")


def test_models_list(models, cloak_command):
    assert "tiny-flux2" in cloak_command("models", "list").out
    rows = cloak_command("models", "list", "--json").rows
    assert [(row["name"], row["state"]) for row in rows][2] == ("sd15", "absent")


def test_models_path_of_the_real_catalogue(cloak_command):
    ran = cloak_command("models", "path", "sd15")
    assert ran.code == 5
    assert "cloak models pull sd15" in ran.err
    ran = cloak_command("models", "path", "sd51")
    assert ran.code == 5
    assert "did you mean" in ran.err


def test_models_verify(models, cloak_command, monkeypatch):
    assert cloak_command("models", "verify").code == 0

    def check(name):
        if name == "taesd":
            raise ModelError("weights.safetensors has other bytes")
        return []

    monkeypatch.setattr(engine, "verify_model", check)
    ran = cloak_command("models", "verify", "--json")
    assert ran.code == 3
    assert [row["ok"] for row in ran.rows] == [True, False]
    assert cloak_command("models", "verify", "taesd").code == 1


def test_methods_list(cloak_command, monkeypatch):
    registry = Registry("method", "json")
    registry.register("mist", summary="Texture target", reference="Liang 2023", licence="GPL-3.0")(
        METHODS.get("photoguard").value
    )
    monkeypatch.setattr(engine, "methods", lambda: registry)
    assert "Liang 2023" in cloak_command("methods", "list").out
    (row,) = cloak_command("methods", "list", "--json").rows
    assert (row["name"], row["licence"], row["extra"]) == ("mist", "GPL-3.0", None)
    assert (row["published"]["linf"], row["published"]["steps"]) == (15.3, 200)


def test_doctor(models, cloak_command, folder):
    ran = cloak_command("doctor", "--json")
    (report,) = ran.rows
    assert ran.code == 0
    assert report["version"] == __version__
    assert report["models"] == ["tiny-flux2", "taesd"]
    assert report["seconds_per_megapixel"]["standard"] == 30.0
    assert report["writable"]["current"]["ok"]
    text = cloak_command("doctor").out
    assert "about 30 s per megapixel" in text
    assert "cpu (2 threads)" in text


def test_doctor_names_the_command_that_brings_models(models, cloak_command, monkeypatch):
    monkeypatch.setattr(engine, "known_models", list)
    ran = cloak_command("doctor")
    assert ran.code == 5
    assert "cloak models pull recommended" in ran.out


def test_inspect_tells_what_a_file_carries(stub, picture, folder, cloak_command):
    picture("a.png")
    cloak_command("protect", "a.png")
    ran = cloak_command("inspect", "a.cloaked.png", "--json")
    (row,) = ran.rows
    assert ran.code == 0
    assert (row["format"], row["width"], row["height"], row["mode"]) == ("png", 40, 30, "RGB")
    assert row["certificate"]["matches"]
    assert "matches" in cloak_command("inspect", "a.cloaked.png").out


def test_inspect_shows_what_was_written_into_it(picture, folder, cloak_command):
    document = read_picture(picture("a.png"))
    (folder / "b.png").write_bytes(encode_picture(document, document.pixels, notice=True))
    (row,) = cloak_command("inspect", "b.png", "--json").rows
    assert row["notice"] == PROHIBITED_TRAINING
    assert (row["xmp"], row["gps"], row["alpha"], row["bit_depth"]) == (True, False, False, 8)
    assert row["certificate"] is None


def test_inspect_notices_a_changed_file(stub, picture, folder, cloak_command):
    picture("a.png")
    cloak_command("protect", "a.png")
    Image.new("RGB", (4, 4)).save(folder / "a.cloaked.png")
    assert "not about this file as it is now" in " ".join(cloak_command("inspect", "a.cloaked.png").out.split())
    (folder / "a.cloaked.json").write_text("not json")
    assert cloak_command("inspect", "a.cloaked.png", "--json").rows[0]["certificate"]["matches"] is False


def test_inspect_measures_against_the_original(stub, picture, cloak_command, monkeypatch):
    picture("a.png"), picture("b.png")
    report = {"visibility": {"psnr": 41.25}, "effects": [{"model": "tiny-flux2", "seen_shift": None}]}
    monkeypatch.setattr(engine, "inspect_pair", lambda *_, **__: report)
    assert cloak_command("inspect", "b.png", "--original", "a.png", "--json").rows[0]["effect"] == report
    text = cloak_command("inspect", "b.png", "--original", "a.png").out
    assert "41.25" in text
    assert "not measured" in text


@pytest.mark.parametrize("name", ["gone.png", "text.png", "."])
def test_inspect_of_something_else_fails(stub, folder, cloak_command, name):
    (folder / "text.png").write_text("no picture")
    ran = cloak_command("inspect", name)
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert json.dumps(name)[1:-1] in ran.err
