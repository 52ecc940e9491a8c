"""`import cloak` and `cloak --help` stay light: what is heavy is imported when it is used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cloak

HEAVY = ("diffusers", "transformers", "gradio", "ray", "matplotlib", "peft")


def _imported(code: str) -> set[str]:
    """Top-level packages that are loaded after running `code` in a fresh interpreter."""
    report = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(cloak.__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", ["cloak", "cloak.config", "cloak.errors", "cloak.types"])
def test_light_module_loads_neither_torch_nor_anything_heavier(module: str) -> None:
    loaded = _imported(f"import {module}")
    assert not loaded & {*HEAVY, "torch", "torchvision", "kornia", "huggingface_hub"}


def test_help_of_the_command_does_not_load_torch() -> None:
    loaded = _imported("from cloak.cli.main import run; assert run(['protect', '--help']) == 0")
    assert not loaded & {*HEAVY, "torch"}


def test_protector_is_imported_without_the_heavy_packages() -> None:
    loaded = _imported("import cloak; cloak.Protector")
    assert not loaded & set(HEAVY)
