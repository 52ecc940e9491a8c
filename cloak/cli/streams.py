"""Standard input and output as places for a picture, written `-` on the command line."""

import contextlib
import os
import sys

from cloak.errors import InputError

__all__ = ["STANDARD_STREAM", "display_name", "read_stdin", "silence_stdout", "write_stdout"]

STANDARD_STREAM = "\0-"
"""Stands for the argument `-` while options are parsed; no real argument can hold a NUL character."""


def display_name(argument: str) -> str:
    """The argument as the person wrote it."""
    return "-" if argument == STANDARD_STREAM else argument


def read_stdin() -> bytes:
    """All of standard input.

    Raises:
        InputError: when there is nothing to read.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(
            "Nothing is piped in: `-` reads a picture from standard input, as in `cloak protect - < a.png`."
        )
    data = sys.stdin.buffer.read()
    if not data:
        raise InputError("Standard input was empty; `-` expects the bytes of a picture.")
    return data


def write_stdout(data: bytes) -> None:
    """The whole of `data` on standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def silence_stdout() -> None:
    """The reader of our output went away; keep Python from complaining about it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
