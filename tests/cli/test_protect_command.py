"""`cloak protect`: outputs, refusals, exit codes and JSON."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cloak.cli import engine
from cloak.errors import FloorError, InputError, MissingModelError, UnknownNameError

Command = Callable[..., object]


def test_output_stands_beside_the_input_which_stays(stub, picture, folder, cloak_command):
    source = picture("a.png")
    before = source.read_bytes()
    ran = cloak_command("protect", "a.png")
    assert ran.code == 0
    assert (folder / "a.cloaked.png").is_file()
    assert source.read_bytes() == before
    assert ran.out == ""
    assert "nine times" in ran.err
    assert "cloak models pull recommended" in ran.err
    assert "Device: cpu" in ran.err


def test_every_option_reaches_the_settings(stub, picture, cloak_command):
    picture("a.png")
    options = "--strength strong --effort fast --models x,y --method glaze --style s --own-budget --target t --key k"
    more = "--metadata strip --no-notice --device cpu --seed 7 --max-memory 2GiB --min-effect 1.5 --quality 90"
    more += " --format webp"
    assert cloak_command("protect", "a.png", *options.split(), *more.split()).code == 0
    assert stub.settings.model_dump() == {
        "strength": "strong", "effort": "fast", "models": ("x", "y"), "method": "glaze", "style": "s",
        "own_budget": True, "target": "t", "key": Path("k"),
        "metadata": "strip", "notice": False, "device": "cpu", "seed": 7, "max_memory": 2**31, "min_effect": 1.5,
        "quality": 90, "format": "webp",
    }  # fmt: skip


def test_existing_output_is_refused_without_overwrite(stub, picture, folder, cloak_command):
    picture("a.png")
    (folder / "a.cloaked.png").write_bytes(b"older")
    ran = cloak_command("protect", "a.png")
    assert ran.code == 1
    assert "a.cloaked.png exists already; give --overwrite" in ran.err
    assert (folder / "a.cloaked.png").read_bytes() == b"older"
    assert cloak_command("protect", "a.png", "--overwrite").code == 0
    assert (folder / "a.cloaked.png").read_bytes() != b"older"


def test_partly_done_names_each_failure_and_writes_the_others(stub, picture, folder, cloak_command):
    picture("a.png"), picture("b.png")
    (folder / "empty.png").touch()
    stub.errors["b.png"] = InputError("b.png is truncated.")
    ran = cloak_command("protect", "a.png", "b.png", "gone.png", "empty.png", folder)
    assert ran.code == 3
    assert (folder / "a.cloaked.png").is_file()
    assert not (folder / "b.cloaked.png").exists()
    for reason in ("b.png is truncated", "There is no file gone.png", "empty.png is empty", "is a folder"):
        assert reason in ran.err


def test_several_pictures_end_with_a_table_of_figures(stub, picture, cloak_command, monkeypatch):
    picture("a.png"), picture("b.png")
    size = {"short_side": 30, "times_noise": 12.34}
    stub.figures = {
        "visibility": {"max_change": 8.0, "lpips": 0.0061},
        "effects": [{"sizes": [size], "remains": {"blur": 0.7, "jpeg_75": 0.55}}],
        "seconds": 21.4,
    }
    lines = cloak_command("protect", "a.png", "b.png", "gone.png").err.splitlines()
    row = next(line for line in lines if line.startswith("b.png  "))
    assert row.split() == ["b.png", "8", "of", "255", "0.0061", "12.3", "x", "noise", "55%", "21", "s"]
    assert next(line for line in lines if line.startswith("gone.png  ")).split()[1] == "failed"
    assert "2 of 3 pictures are cloaked." in lines
    assert stub.created == 1  # models are loaded once


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("bad"), 1), (FloorError("too weak"), 4), (MissingModelError("cloak models pull sd15"), 5)],
)
def test_exit_code_of_a_single_failure(stub, picture, cloak_command, error, code):
    picture("a.png")
    stub.errors["a.png"] = error
    ran = cloak_command("protect", "a.png")
    assert ran.code == code
    assert str(error) in ran.err


def test_different_failures_of_all_inputs_give_one(stub, picture, cloak_command):
    picture("a.png"), picture("b.png")
    stub.errors.update({"a.png": FloorError("too weak"), "b.png": InputError("bad")})
    assert cloak_command("protect", "a.png", "b.png").code == 1


def test_missing_model_is_found_before_any_work(stub, picture, cloak_command, monkeypatch):
    def refuse(names):
        raise MissingModelError("The model 'sd15' is not here; cloak models pull sd15")

    monkeypatch.setattr(engine, "model_names", refuse)
    picture("a.png")
    ran = cloak_command("protect", "a.png", "--json", "--models", "sd15")
    assert ran.code == 5
    assert ran.rows[0]["error"]["kind"] == "MissingModelError"
    assert not stub.calls


def test_unknown_method_is_wrong_usage(stub, picture, cloak_command, monkeypatch):
    def refuse(name):
        raise UnknownNameError("method", name, ["artcloak", "mist"])

    monkeypatch.setattr(engine, "check_method", refuse)
    picture("a.png")
    ran = cloak_command("protect", "a.png", "--method", "mits")
    assert ran.code == 2
    assert "did you mean mist?" in ran.err


def test_json_is_one_object_per_input_and_nothing_else(stub, picture, cloak_command):
    picture("a.png")
    ran = cloak_command("protect", "a.png", "gone.png", "--json")
    done, failed = ran.rows
    assert ran.code == 3
    assert (done["schema_version"], done["input"], done["status"]) == (1, "a.png", "done")
    assert done["output"] == "a.cloaked.png"
    assert done["certificate"]["verdict"]
    assert failed["output"] is None
    assert failed["error"] == {"kind": "InputError", "message": "There is no file gone.png.", "exit_code": 1}


def test_dry_run_tells_and_writes_nothing(stub, picture, folder, cloak_command):
    picture("a.png")
    ran = cloak_command("protect", "a.png", "--dry-run", "--json", "-o", "out/")
    (row,) = ran.rows
    assert ran.code == 0
    assert row["status"] == "planned"
    assert row["output"] == str(Path("out", "a.cloaked.png"))
    assert (row["plan"]["width"], row["plan"]["height"]) == (40, 30)
    assert row["plan"]["estimated_seconds"] == pytest.approx(30 * 40 * 30 / 1e6)
    assert row["plan"]["models"] == ["tiny-flux2", "tiny-sd1"]
    assert [path.name for path in folder.iterdir()] == ["a.png"]
    assert not stub.calls


def test_dry_run_names_what_cannot_be_read(stub, picture, folder, cloak_command):
    picture("a.png")
    (folder / "text.png").write_text("no picture")
    ran = cloak_command("protect", "a.png", "text.png", "gone.png", "--dry-run")
    assert ran.code == 3
    assert "text.png is not a picture" in ran.err
    assert "40 x 30 pixels, less than a second" in ran.err


def test_unexpected_error_is_a_sentence_and_a_traceback_only_on_demand(stub, picture, cloak_command, monkeypatch):
    picture("a.png"), picture("b.png")
    stub.errors["a.png"] = ZeroDivisionError("division by zero")
    ran = cloak_command("protect", "a.png", "b.png")
    assert ran.code == 3
    assert "ZeroDivisionError: division by zero" in ran.err
    assert "cloak doctor" in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setenv("ARTCLOAK_DEBUG", "1")
    assert "Traceback" in cloak_command("protect", "a.png").err


def test_lack_of_memory_says_what_to_change(stub, picture, cloak_command):
    picture("a.png")
    stub.errors["a.png"] = RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
    ran = cloak_command("protect", "a.png")
    assert ran.code == 1
    assert "--max-memory" in ran.err


def test_interruption_stops_all_and_reports_the_rest(stub, picture, folder, cloak_command):
    for name in ("a.png", "b.png", "c.png"):
        picture(name)
    stub.errors["b.png"] = KeyboardInterrupt()
    ran = cloak_command("protect", "a.png", "b.png", "c.png", "--json")
    assert ran.code == 130
    assert [row["status"] for row in ran.rows] == ["done", "failed", "failed"]
    assert ran.rows[2]["error"]["kind"] == "Interrupted"
    assert stub.closed == 2
    assert not (folder / "b.cloaked.png").exists()


def test_already_cloaked_input_is_done_with_a_note(stub, picture, folder, cloak_command):
    picture("a.cloaked.png")
    ran = cloak_command("protect", "a.cloaked.png")
    assert ran.code == 0
    assert "second cloak" in ran.err
    assert (folder / "a.cloaked.cloaked.png").is_file()


def test_pattern_that_the_shell_left_alone_is_expanded(stub, picture, folder, cloak_command):
    picture("a.png"), picture("b.png")
    assert cloak_command("protect", "*.png").code == 0
    assert (folder / "b.cloaked.png").is_file()


def test_odd_names_are_shown_as_they_are(stub, picture, folder, cloak_command):
    picture("a [bold]b :smile: ü.png")
    ran = cloak_command("protect", "a [bold]b :smile: ü.png")
    assert ran.code == 0
    assert "a [bold]b :smile: ü.png" in ran.err


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_unreadable_input_is_named(stub, picture, cloak_command):
    picture("a.png").chmod(0)
    ran = cloak_command("protect", "a.png")
    assert ran.code == 1
    assert "may not be read" in ran.err
