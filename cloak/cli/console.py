"""Two channels: results on stdout, everything said to a person on stderr."""

import os
import sys

from rich.console import Console
from rich.table import Table

__all__ = ["animated", "say", "show_table", "stderr_console"]

PIPED_WIDTH = 160


def stderr_console() -> Console:
    """A console for messages; file names are never taken for markup, NO_COLOR is honoured by rich."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def say(message: str, *, style: str | None = None) -> None:
    """One message on stderr."""
    stderr_console().print(message, style=style)


def animated() -> bool:
    """Whether moving bars may be shown: stderr is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def show_table(table: Table) -> None:
    """A table on stdout; a pipe gets wide lines instead of folded ones."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(markup=False, highlight=False, emoji=False, width=width).print(table)
