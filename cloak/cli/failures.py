"""From an exception to what a person is told and what the shell is told."""

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import pydantic
from cyclopts import CycloptsError

from cloak.cli.interrupt import INTERRUPTED
from cloak.errors import CloakError

__all__ = ["PARTLY_DONE", "Failure", "explain", "show_details"]

PARTLY_DONE = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong.

    Args:
        kind: name of the error class, stable for scripts.
        message: one or two sentences that say what was received and what to do.
        exit_code: what the shell gets when nothing else was done.
    """

    kind: str
    message: str
    exit_code: int


def explain(error: BaseException, arguments: Sequence[str] = ()) -> Failure:
    """Describe any exception; `arguments` are those of the command line, to tell where a wrong setting came from."""
    if isinstance(error, CloakError):
        return Failure(type(error).__name__, str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Failure("Interrupted", "Interrupted; nothing half-written is left.", INTERRUPTED)
    if isinstance(error, (CycloptsError, pydantic.ValidationError)):
        return Failure("UsageError", _usage(error, arguments), 2)
    if _is_out_of_memory(error):
        advice = "give a smaller --max-memory (for example 2GB), a lower --effort, or --device cpu"
        return Failure("OutOfMemory", f"There was not enough memory; {advice}.", 1)
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return Failure("SystemError", f"The system refused: {error.strerror or error}{where}.", 1)
    return Failure("UnexpectedError", _unexpected(error), 1)


def show_details(error: BaseException) -> None:
    """Print the traceback to stderr when ARTCLOAK_DEBUG is set; people are shown a sentence, never a traceback."""
    if os.environ.get("ARTCLOAK_DEBUG", "") not in {"", "0"}:
        traceback.print_exception(error, file=sys.stderr)


def _usage(error: CycloptsError | pydantic.ValidationError, arguments: Sequence[str]) -> str:
    if isinstance(error, pydantic.ValidationError):
        return _settings(error, arguments)
    if isinstance(error.__cause__, pydantic.ValidationError):
        return _settings(error.__cause__, arguments)
    error.verbose = False
    message = str(error).strip().replace("\0", "")
    command = " ".join(["cloak", *(error.command_chain or ())])
    return f"{message} See `{command} --help`."


def _settings(error: pydantic.ValidationError, arguments: Sequence[str]) -> str:
    return (
        "; ".join(_setting(detail["loc"], detail["msg"], detail["input"], arguments) for detail in error.errors()) + "."
    )


def _setting(location: tuple[int | str, ...], message: str, value: object, arguments: Sequence[str]) -> str:
    name = str(location[0]) if location else "settings"
    option = f"--{name.replace('_', '-')}"
    origin = ""
    if not any(argument.split("=")[0] == option for argument in arguments):
        variable = f"ARTCLOAK_{name.upper()}"
        origin = f" (from {variable})" if variable in os.environ else " (from artcloak.toml)"
    return f"{option}{origin}: {message[:1].lower()}{message[1:]}, got {value!r}"


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and ("out of memory" in text or "not enough memory" in text))
    )


def _unexpected(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return (
        f"Something went wrong that should not have ({said}). Please report it on the project's page together with the "
        "output of `cloak doctor`; with ARTCLOAK_DEBUG=1 the same command prints the details."
    )
