"""`cloak inspect`: what a file carries, and how visible and how strong its cloak still is."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from cloak.cli import engine
from cloak.cli.carried import carried_by
from cloak.cli.console import say, show_table
from cloak.cli.outcome import SCHEMA_VERSION, print_json
from cloak.cli.quantities import format_bytes

__all__ = ["inspect"]


def inspect(
    file: Path,
    *,
    original: Path | None = None,
    models: tuple[str, ...] = ("auto",),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Say what a picture file carries; with the original, also how visible and how strong the cloak still is.

    Args:
        file: The picture.
        original: The picture before it was cloaked.
        models: Models to measure on, as for `protect`.
        as_json: Print one JSON object.
    """
    row: dict[str, Any] = carried_by(file)
    if original is not None:
        carried_by(original)
        say(f"Measuring on {engine.device_name('auto')} ...")
        names = [name.strip() for item in models for name in item.split(",") if name.strip()]
        row["effect"] = engine.inspect_pair(original, file, models=names)
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, **row})
    else:
        show_table(_table(row))
    return 0


def _table(row: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    carried = [name.upper() for name in ("icc", "exif", "gps", "xmp") if row[name]]
    table.add_row("file", f"{row['file']} ({format_bytes(row['bytes'])})")
    depth = f"{row['mode']}, {row['bit_depth']} bit{', transparency' if row['alpha'] else ''}"
    table.add_row("picture", f"{row['format']}, {row['width']} x {row['height']} pixels, {depth}")
    table.add_row("carries", ", ".join(carried) or "no metadata")
    table.add_row("no-AI notice", row["notice"] or "none")
    table.add_row("content credentials", _credentials_text(row["credentials"]))
    table.add_row("certificate", _certificate_text(row["certificate"]))
    effect = row.get("effect", {})
    if "verdict" in effect:
        table.add_row("against the original", effect["verdict"])
    for name, value in _flat({part: effect[part] for part in ("visibility", "effects") if part in effect}):
        table.add_row(name, "not measured" if value is None else str(value))
    return table


def _credentials_text(credentials: dict[str, Any] | None) -> str:
    if credentials is None:
        return "none"
    if credentials["state"] is None:
        return "present; to check them: pip install 'artcloak[provenance]'"
    if not credentials["valid"]:
        return f"do not hold: {', '.join(credentials['problems']) or credentials['state']}"
    refused = "AI training not allowed" if credentials["training"] == "notAllowed" else "nothing said about AI training"
    return f"hold, signed by {credentials['signer']}; {refused}"


def _certificate_text(certificate: dict[str, Any] | None) -> str:
    if certificate is None:
        return "none beside the file"
    if not certificate["matches"]:
        return f"{certificate['file']} is not about this file as it is now; the picture was changed or replaced"
    return f"{certificate['file']} matches. {certificate['verdict'] or ''}"


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Nested JSON as rows of a table: ("visibility psnr", 41.2)."""
    if isinstance(value, dict):
        return [row for key, item in value.items() for row in _flat(item, f"{name} {key}".strip())]
    if isinstance(value, list):
        return [row for place, item in enumerate(value) for row in _flat(item, f"{name} {_label(item, place)}")]
    return [(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else value)]


def _label(item: Any, place: int) -> str:
    return str(item.get("name") or item.get("model") or place + 1) if isinstance(item, dict) else str(place + 1)
