"""Ctrl-C: exit code 130 within two seconds, also inside native code; nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cloak
from cloak.cli.interrupt import PromptInterrupt

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT that a test could send")

IN_PYTHON = """
import sys, time
from cloak.cli import engine
from cloak.cli.main import main
class Protector:
    def __init__(self, settings): pass
    def steps(self, source, output, *, overwrite):
        print("ready", flush=True)
        time.sleep(60)
        yield
engine.create_protector = Protector
engine.model_names = lambda names: ["m"]
engine.embedded_names = frozenset
engine.device_name = lambda choice: "cpu"
engine.seconds_per_megapixel = lambda effort: None
engine.plan_output = lambda source, output, choice: source.with_suffix(".cloaked.png")
sys.argv = ["cloak", "protect", sys.argv[1]]
main()
"""

IN_NATIVE_CODE = """
import hashlib
from cloak.cli.interrupt import PromptInterrupt
with PromptInterrupt():
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
"""


def _interrupt(code: str, *arguments: str) -> tuple[int, float, str]:
    """Exit code, seconds from the signal to the end, and stderr."""
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(cloak.__file__).parent.parent)}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready", child.communicate()[1]
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, errors = child.communicate(timeout=30)
        return child.returncode, time.monotonic() - start, errors


def test_command_ends_at_once(picture, folder):
    picture("a.png")
    code, seconds, errors = _interrupt(IN_PYTHON, "a.png")
    assert code == 130
    assert seconds < 2
    assert "Traceback" not in errors
    assert [path.name for path in folder.iterdir()] == ["a.png"]


def test_native_code_is_left_after_the_grace_time():
    code, seconds, errors = _interrupt(IN_NATIVE_CODE)
    assert code == 130
    assert seconds < 2.5
    assert "interrupted" in errors


def test_handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with PromptInterrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
