"""From an exception to what a person is told and what the shell is told."""

import os
import sys
import traceback
from collections.abc import Sequence

import pydantic
from cyclopts import CycloptsError

from cloak import failures
from cloak.failures import Failure

__all__ = ["PARTLY_DONE", "Failure", "explain", "show_details"]

PARTLY_DONE = 3


def explain(error: BaseException, arguments: Sequence[str] = ()) -> Failure:
    """Describe any exception; `arguments` are those of the command line, to tell where a wrong setting came from."""
    if isinstance(error, (CycloptsError, pydantic.ValidationError)):
        return Failure("UsageError", _usage(error, arguments), 2)
    return failures.explain(error)


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
