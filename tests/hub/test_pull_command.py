"""`cloak models pull | verify | remove`: size and licence first, consent where it is needed, exit codes, JSON."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

import cloak
from cloak.cli.main import run
from cloak.surrogates import CATALOGUE, installed
from cloak.surrogates import pulling as room

COMMAND = [sys.executable, "-m", "cloak.cli", "models"]
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def command(capsys):
    def call(*arguments):
        capsys.readouterr()
        code = run(["models", *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


def test_pull_says_size_and_licence_and_then_where_it_is(hub, models_at, tiny_files, command):
    hub.offer("taesd", tiny_files)
    code, out, err = command("pull", "taesd")
    assert code == 0
    assert "kB from madebyollin/taesd at 614f76814bbe, licence MIT." in err
    assert out.startswith("taesd: pulled (")
    assert str(models_at / "taesd") in out
    code, out, err = command("pull", "taesd")
    assert (code, err) == (0, "")
    assert out.startswith("taesd: already here")
    assert command("verify", "taesd")[:2] == (0, "taesd: 2 files are as recorded\n")
    assert command("remove", "taesd")[0] == 0
    assert installed() == []


def test_json_has_one_object_for_each_model_and_nothing_else(hub, models_at, tiny_files, command):
    hub.offer("taesd", tiny_files)
    code, out, _ = command("pull", "taesd", "taesdxl", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert [(row["name"], row["ok"], row["status"]) for row in rows] == [
        ("taesd", True, "pulled"),
        ("taesdxl", False, "failed"),
    ]
    assert rows[0]["revision"] == CATALOGUE["taesd"].revision
    assert rows[1]["exit_code"] == 5
    assert rows[1]["error"].startswith("The hub has no madebyollin/taesdxl")
    code, out, _ = command("remove", "taesd", "--json")
    assert json.loads(out)["status"] == "removed"
    assert code == 0


def test_a_group_is_pulled_as_far_as_it_can_be(hub, models_at, tiny_files, command, monkeypatch):
    for name in ("taesd", "taesdxl", "taesd3", "taef1"):
        files = tuple(replace(file, sha256=None) for file in CATALOGUE[name].files)
        monkeypatch.setitem(CATALOGUE, name, replace(CATALOGUE[name], files=files))
        hub.offer(name, tiny_files)
    assert command("pull", "recommended")[0] == 3
    assert installed() == ["taesd", "taesdxl", "taesd3", "taef1"]
    hub.offer("taef2", {"taef2.safetensors": tiny_files[WEIGHTS]})
    assert command("pull", "recommended")[0] == 0
    out = command("list", "--json")[1]
    rows = {row["name"]: row for row in map(json.loads, out.splitlines())}
    assert rows["taef2"]["state"] == "present"
    assert rows["taef2"]["complete"]
    assert rows["taef2"]["groups"] == ["recommended"]
    assert rows["sd15"]["consent"]
    assert rows["sd15"]["state"] == "absent"


def test_a_licence_that_restricts_needs_consent(hub, models_at, tiny_files, command, monkeypatch):
    hub.offer("sana", tiny_files)
    code, _, err = command("pull", "sana")
    assert code == 2
    assert "agree with --accept-licence" in err
    assert "1.25 GB" in err
    assert hub.seen == []

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    code, _, err = command("pull", "sana")
    assert code == 2
    assert "Without consent" in err
    assert hub.seen == []
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert command("pull", "sana")[0] == 0
    assert command("remove", "sana")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert command("pull", "sana", "--accept-licence")[0] == 0
    assert command("pull", "sana")[0] == 0  # it is here: nothing is asked


def test_a_model_without_all_its_files_is_present_in_part(models_at, command):
    for file in CATALOGUE["sd15"].required_files:
        (models_at / "sd15" / file.path).parent.mkdir(parents=True, exist_ok=True)
        (models_at / "sd15" / file.path).write_text("{}")
    row = next(row for row in map(json.loads, command("list", "--json")[1].splitlines()) if row["name"] == "sd15")
    assert (row["state"], row["complete"]) == ("present", False)
    assert "present in part" in command("list")[1]


def test_corrupted_weights_end_with_1(hub, models_at, tiny_files, command):
    hub.offer("taesd", tiny_files)
    hub.flipped.add(WEIGHTS)
    code, _, err = command("pull", "taesd")
    assert code == 1
    assert "arrived damaged" in err
    assert not (models_at / "taesd").exists()
    hub.flipped.clear()
    command("pull", "taesd")
    data = bytearray((models_at / "taesd" / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (models_at / "taesd" / WEIGHTS).write_bytes(data)
    code, _, err = command("verify")
    assert code == 3  # the embedded models are as they should be
    assert "get it again with: cloak models pull taesd" in err
    assert command("verify", "taesd")[0] == 1
    assert command("pull", "taesd")[0] == 0
    assert command("verify", "taesd")[0] == 0


def test_wrong_names_and_nothing_to_do(models_at, command):
    assert command("pull", "sd51")[0] == 5
    assert "did you mean" in command("pull", "sd51")[2]
    assert command("pull")[0] == 2
    assert "Give at least one model" in command("pull")[2]
    assert command("remove", "taesd")[0] == 1
    assert command("pull", "tiny-flux2")[0] == 2
    assert command("path", "taesd")[0] == 5
    assert "cloak models pull taesd" in command("path", "taesd")[2]


def test_a_full_disk_ends_with_1(hub, models_at, tiny_files, command, monkeypatch):
    hub.offer("taesd", tiny_files)
    monkeypatch.setattr(room, "_SPARE_BYTES", 10**18)
    code, _, err = command("pull", "taesd")
    assert code == 1
    assert "too full" in err
    assert not (models_at / "taesd").exists()


def environment_for(hub, **variables):
    root = str(Path(cloak.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": root, "HF_ENDPOINT": hub.url, "HF_HOME": constants.HF_HUB_CACHE, **variables}


def test_environment_variables_reach_the_command_itself(hub, models_at, tiny_files):
    hub.offer("taesd", tiny_files)

    def call(offline):
        command, environment = [*COMMAND, "pull", "taesd"], environment_for(hub, HF_HUB_OFFLINE=offline)
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)

    offline = call("1")
    assert offline.returncode == 5
    assert "HF_HUB_OFFLINE is set" in offline.stderr
    done = call("0")
    assert done.returncode == 0, done.stderr
    assert installed() == ["taesd"]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_ctrl_c_ends_a_pull_at_once_and_the_next_one_goes_on(hub, models_at, tiny_files, command):
    hub.offer("taesd", tiny_files)
    hub.stalls[WEIGHTS] = threading.Event()
    child = subprocess.Popen([*COMMAND, "pull", "taesd"], env=environment_for(hub, HF_HUB_OFFLINE="0"))
    try:
        half = len(tiny_files[WEIGHTS]) // 2
        wait_until(lambda: any(part.stat().st_size == half for part in models_at.rglob(f"{WEIGHTS}.*.part")))
        started = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == 130
        assert time.monotonic() - started < 3
    finally:
        child.kill()
        child.wait()
        hub.stalls.pop(WEIGHTS).set()
    assert not (models_at / "taesd").exists()
    assert command("pull", "taesd")[0] == 0
    assert [asked for _, path, asked in hub.seen if path.startswith("/cdn/")] == [None, f"bytes={half}-"]


def wait_until(is_so):
    limit = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < limit
        time.sleep(0.02)
