"""`cloak doctor`: what this machine will use, how long a picture will take, and what is missing."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import Parameter
from rich.table import Table

from cloak import __version__
from cloak.cli import engine, machine
from cloak.cli.console import show_table
from cloak.cli.outcome import SCHEMA_VERSION, print_json
from cloak.cli.quantities import format_about, format_bytes
from cloak.memory import free_memory
from cloak.types import Effort

__all__ = ["doctor"]

_REQUIRED = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "kornia",
    "pillow",
    "numpy",
    "safetensors",
    "pydantic",
)
_OPTIONAL = {"gradio": "ui", "peft": "eval", "ray": "cluster", "c2pa-python": "provenance"}


def doctor(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Say what this machine will use, how long a picture will take, what is missing and the command that brings it.

    Args:
        as_json: Print one JSON object.
    """
    report = _examine()
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, **report})
    else:
        show_table(_table(report))
    return 5 if any(item["needed"] for item in report["missing"]) else 0


def _examine() -> dict[str, Any]:
    versions = {name: machine.version_of(name) for name in (*_REQUIRED, *_OPTIONAL)}
    store = engine.store_folder()
    present = versions["torch"] is not None
    models = [model["name"] for model in engine.known_models() if model["state"] != "absent"]
    folders = {"current": Path.cwd(), "models": store, "temporary": Path(tempfile.gettempdir())}
    return {
        "version": __version__,
        **machine.platform_facts(),
        "packages": versions,
        "device": engine.device_name("auto") if present else None,
        **(machine.torch_facts() if present else {}),
        "free_memory": free_memory(),
        "free_disk": machine.free_disk(Path.cwd()),
        "models": models,
        "writable": {name: {"folder": str(path), "ok": machine.is_writable(path)} for name, path in folders.items()},
        "seconds_per_megapixel": {effort: _seconds(effort) for effort in get_args(Effort)} if present else {},
        "missing": _missing(versions, models),
    }


def _seconds(effort: Effort) -> float | None:
    try:
        return engine.seconds_per_megapixel(effort)
    except (ImportError, RuntimeError, OSError):
        return None  # the report says "not known" and the other checks go on


def _missing(versions: dict[str, str | None], models: list[str]) -> list[dict[str, Any]]:
    """What is not there, whether work is impossible without it, and the command that brings it."""
    missing: list[dict[str, Any]] = []
    for name in _REQUIRED:
        if versions[name] is None:
            missing.append({"what": name, "needed": True, "command": "pip install --force-reinstall artcloak"})
    for name, extra in _OPTIONAL.items():
        if versions[name] is None:
            missing.append({"what": name, "needed": False, "command": f"pip install 'artcloak[{extra}]'"})
    if not models:
        missing.append({"what": "embedded models", "needed": True, "command": "pip install --force-reinstall artcloak"})
    if set(models) <= engine.embedded_names():
        what = "models of the real families (the cloak acts on small stand-ins without them)"
        missing.append({"what": what, "needed": False, "command": "cloak models pull recommended"})
    return missing


def _table(report: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("artcloak", report["version"])
    table.add_row("python", f"{report['python']}, {report['system']}")
    table.add_row("packages", ", ".join(f"{name} {found}" for name, found in report["packages"].items() if found))
    table.add_row("device", report["device"] or "torch is missing")
    if "bf16" in report:
        table.add_row("bfloat16 in hardware", "yes" if report["bf16"] else "no")
        table.add_row("threads", f"{report['threads']} of {report['cores']} cores")
    for label, amount in (("free memory", report["free_memory"]), ("free disk", report["free_disk"])):
        table.add_row(label, "not known" if amount is None else format_bytes(amount))
    table.add_row("models here", ", ".join(report["models"]) or "none")
    for name, place in report["writable"].items():
        table.add_row(f"{name} folder", f"{place['folder']} ({'writable' if place['ok'] else 'NOT writable'})")
    for effort, seconds in report["seconds_per_megapixel"].items():
        time = "not known" if seconds is None else f"{format_about(seconds)} per megapixel"
        table.add_row(f"effort {effort}", time)
    for item in report["missing"]:
        table.add_row("missing" if item["needed"] else "optional", f"{item['what']}: {item['command']}")
    return table
