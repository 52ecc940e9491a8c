"""From an exception to what a person is told, also when it happened in another process."""

from dataclasses import dataclass

from cloak.errors import CloakError

__all__ = ["INTERRUPTED", "OUT_OF_MEMORY", "Failure", "explain"]

INTERRUPTED = 130
OUT_OF_MEMORY = "OutOfMemory"
_SAID_WITHOUT_MEMORY = ("out of memory", "not enough memory", "allocate memory")  # torch: devices, Windows, Linux


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


def explain(error: BaseException) -> Failure:
    """Describe any exception."""
    if isinstance(error, CloakError):
        return Failure(type(error).__name__, str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Failure("Interrupted", "Interrupted; nothing half-written is left.", INTERRUPTED)
    if _is_out_of_memory(error):
        advice = "give a smaller --max-memory (for example 2GB), a lower --effort, or --device cpu"
        return Failure(OUT_OF_MEMORY, f"There was not enough memory; {advice}.", 1)
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return Failure("SystemError", f"The system refused: {error.strerror or error}{where}.", 1)
    return Failure("UnexpectedError", _unexpected(error), 1)


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(said in text for said in _SAID_WITHOUT_MEMORY))
    )


def _unexpected(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return (
        f"Something went wrong that should not have ({said}). Please report it on the project's page together with the "
        "output of `cloak doctor`; with ARTCLOAK_DEBUG=1 the same command prints the details."
    )
