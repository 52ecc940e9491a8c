"""`cloak key`: the one direction that a whole portfolio is pushed in."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from cloak.cli import engine
from cloak.cli.console import say
from cloak.cli.outcome import SCHEMA_VERSION, print_json
from cloak.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from cloak.image import PictureDocument

__all__ = ["key_app"]

key_app = App(name="key", help="The portfolio key: one target style for all of an artist's pictures.")

_SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif"])
_ENOUGH = 64  # pictures; more do not change an average


@key_app.command
def new(
    file: Path,
    /,
    *,
    style: str | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Make a key; give it to `cloak protect --key FILE` with every picture of the portfolio.

    Args:
        file: Where to write it; an existing file is never replaced.
        style: Style to push towards; chosen at random when neither this nor --from is given.
        from_: Folder of your pictures; the style that is farthest from theirs is taken.
        as_json: Print one JSON object.
    """
    if style is not None and from_ is not None:
        raise UsageError("Give either --style or --from, not both.")
    if os.path.lexists(file):
        raise OutputError(f"{file} exists already; a key is never replaced, since it belongs to a portfolio.")
    if from_ is not None:
        style = engine.farthest_style(_portfolio(from_))
    engine.write_key(file, style or secrets.choice(engine.style_names()))
    say("Keep it to yourself: whoever has it knows which way your portfolio was pushed. Losing it is harmless.")
    return _tell(file, as_json=as_json)


@key_app.command
def show(file: Path, /, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Say what a key holds, and which methods follow it.

    Args:
        file: The key.
        as_json: Print one JSON object.
    """
    return _tell(file, as_json=as_json)


def _tell(file: Path, *, as_json: bool) -> int:
    key = engine.read_key(file)
    methods = [entry.name for entry in engine.methods() if entry.value.needs_target]
    row: dict[str, Any] = {"file": str(file), "style": key.style, "private": _is_private(file), "methods": methods}
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, **row})
    else:
        print(f"{file}: {key.style}")
    if not row["private"]:
        say(f"Others on this machine can read {file}; `chmod 600` keeps it to you.", style="yellow")
    say(f"Followed by --method {', '.join(methods)}. Others push away from the original and towards no style.")
    return 0


def _is_private(file: Path) -> bool:
    return os.name != "posix" or file.stat().st_mode & 0o077 == 0


def _portfolio(folder: Path) -> "Iterator[PictureDocument]":
    """The readable pictures of a folder, evenly chosen from among many."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give --from the folder with your pictures.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    for path in paths[:: -(-len(paths) // _ENOUGH) or 1]:
        try:
            yield engine.open_picture(path)
        except InputError as problem:
            say(f"Left out: {problem}", style="yellow")
