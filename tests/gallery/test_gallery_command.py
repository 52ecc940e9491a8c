"""The command as people run it: real workers, real kills."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cloak import Certificate
from cloak.cli.main import run

ROOT = Path(__file__).parents[2]


def _start(*arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "cloak.cli",
        "gallery",
        *arguments,
        "--effort",
        "instant",
        "--workers",
        "1",
        "--json",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def _wait_for(kind: str, process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The next event of a kind."""
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == kind:
            return event
    raise AssertionError("it ended")


def _finish(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    with _start(*arguments) as process:
        out, err = process.communicate()
    assert "Traceback" not in err, err
    return process.returncode, [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    source = tmp_path / "portfolio"
    for number, name in enumerate(("a.png", "a.jpg", "x/b.png", "x/c.bmp", "d.tif")):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.linear_gradient("L").resize((36, 28)).rotate(30 * number).convert("RGB")
        Image.merge("RGB", (picture.getchannel(0), *[Image.effect_mandelbrot((36, 28), (-2, -2, 2, 2), 20)] * 2)).save(
            path
        )
    (source / "x" / "broken.png").write_bytes((source / "a.png").read_bytes()[:80])
    return source


def _check(destination: Path, expected: int) -> None:
    """Every result has a certificate that is about it, and nothing else lies there."""
    pictures = [p for p in destination.rglob("*.cloaked.*") if p.suffix != ".json"]
    assert len(pictures) == expected
    for picture in pictures:
        certificate = Certificate.model_validate_json(picture.with_suffix(".json").read_text())
        assert certificate.output.sha256 == hashlib.sha256(picture.read_bytes()).hexdigest()
        assert certificate.output.name == picture.name
    assert not list(destination.rglob("*.part"))


def test_killed_at_random_and_started_again_it_ends_with_every_picture(portfolio: Path, tmp_path: Path) -> None:
    destination, chance = tmp_path / "cloaked", random.Random(3)
    before = {path: path.read_bytes() for path in portfolio.rglob("*") if path.is_file()}
    for _ in range(4):
        with _start(str(portfolio), str(destination)) as process:
            time.sleep(chance.uniform(1.0, 7.0))
            process.kill()
    code, events = _finish(str(portfolio), str(destination))
    assert code == 3
    _check(destination, 5)
    assert [failure["name"] for failure in events[-1]["failures"]] == ["x/broken.png"]
    assert {path: path.read_bytes() for path in portfolio.rglob("*") if path.is_file()} == before

    code, events = _finish(str(portfolio), str(destination))
    assert (code, events[-1]["tally"]["kept"], events[-1]["tally"]["done"]) == (3, 5, 0)


def test_ctrl_c_ends_it_at_once_and_says_how_to_go_on(portfolio: Path, tmp_path: Path) -> None:
    with _start(str(portfolio), str(tmp_path / "cloaked")) as process:
        _wait_for("progress", process)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert time.monotonic() - began < 4
    assert json.loads(out.splitlines()[-1])["stopped"]["kind"] == "Interrupted"
    assert "The same command goes on from here." in err


def test_pictures_that_appear_are_cloaked_until_it_is_stopped(portfolio: Path, tmp_path: Path) -> None:
    inbox, destination = tmp_path / "inbox", tmp_path / "inbox" / "cloaked"
    inbox.mkdir()
    with _start(str(inbox), str(destination), "--watch") as process:
        _wait_for("planned", process)
        (inbox / "new.png").write_bytes((portfolio / "a.png").read_bytes())
        assert _wait_for("done", process)["output"] == "new.cloaked.png"
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    _check(destination, 1)


def test_a_dry_run_writes_no_result(portfolio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gallery", str(portfolio), str(tmp_path / "out"), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["tally"]["waiting"] == 6
    assert not list((tmp_path / "out").rglob("*.cloaked.*"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere", "out"], 2, "There is no folder"),
        ([".", "."], 2, "cannot go into the folder of the originals"),
        (["a.txt", "out", "--watch"], 2, "--watch needs a folder"),
        ([".", "out", "--address", "auto"], 2, "--engine ray"),
        ([".", "out", "--workers", "0"], 2, "workers"),
        ([".", "out", "--models", "sd15"], 5, "cloak models pull sd15"),
        ([".", "out"], 1, "There is no picture in it."),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("")
    assert run(["gallery", *arguments]) == code
    assert said in capsys.readouterr().err
