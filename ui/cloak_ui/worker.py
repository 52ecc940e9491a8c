"""The process that computes. It takes one task after the other and may be killed at any moment without harm."""

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import get_args

from cloak_ui.limits import Limits
from cloak_ui.tasks import Failed, LookTask, Message, ProofTask, ProtectTask, Ready, Task

__all__ = ["work"]


def work(connection: Connection, enough: Event, limits: Limits) -> None:
    """Serve tasks until the other side is gone. What computes is imported here, so that the page's process stays small.

    Args:
        connection: brings `(task, folder)` and takes messages; new files are written to the folder.
        enough: set while the running task should be brought to an early end with what it has.
        limits: what is refused before it is decoded.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the page's to answer; it ends this process
    try:
        connection.send(_ready())
        while True:
            task, folder = connection.recv()
            for message in _carry_out(task, folder, enough.is_set, limits):
                connection.send(message)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _ready() -> Ready:
    from cloak.device import resolve_device
    from cloak.estimate import seconds_per_megapixel
    from cloak.types import Effort

    rates: dict[Effort, float] = {effort: seconds_per_megapixel(effort) for effort in get_args(Effort)}
    return Ready(rates, str(resolve_device("auto")))


def _carry_out(task: Task, folder: Path, enough: Callable[[], bool], limits: Limits) -> Iterator[Message]:
    from cloak.cli.failures import explain, show_details
    from cloak.image import ReadLimits
    from cloak_ui.attacking import attack
    from cloak_ui.looking import look
    from cloak_ui.protecting import protect
    from cloak_ui.proving import prove

    reading = ReadLimits(max_pixels=limits.max_pixels, max_bytes=limits.max_bytes)
    try:
        if isinstance(task, LookTask):
            yield from look(task, folder, reading)
        elif isinstance(task, ProtectTask):
            yield from protect(task, folder, reading, enough)
        elif isinstance(task, ProofTask):
            yield from prove(task, folder, reading)
        else:
            yield from attack(task, folder, reading)
    except Exception as error:
        show_details(error)
        failure = explain(error)
        message = failure.message.replace(f"{folder}{os.sep}", "")  # where it lies is nobody's business
        yield Failed(failure.kind, message)
