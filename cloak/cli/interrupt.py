"""Ctrl-C ends the program within two seconds, also while native code runs and Python cannot look at signals.

A signal is written to a socket by the interpreter's C handler at once; a small thread reads it there. When the main
thread has not left by itself after `grace` seconds, the thread ends the process. Pictures are written under a temporary
name and renamed, so nothing half-written can carry the name of an output.
"""

import os
import signal
import socket
import threading
from types import FrameType, TracebackType

from cloak.failures import INTERRUPTED

__all__ = ["INTERRUPTED", "PromptInterrupt", "received"]

_RECEIVED = threading.Event()


def received() -> bool:
    """Whether Ctrl-C was pressed, even where a library turned the interruption into another error."""
    return _RECEIVED.is_set()


class PromptInterrupt:
    """While it is open, Ctrl-C raises KeyboardInterrupt, and after `grace` seconds without an end it ends the process.

    Args:
        grace: time the main thread has to clean up, seconds.
    """

    def __init__(self, grace: float = 1.5) -> None:
        self.grace = grace
        self._reader, self._writer = socket.socketpair()
        self._previous: tuple[object, int] | None = None

    def __enter__(self) -> "PromptInterrupt":
        _RECEIVED.clear()
        self._writer.setblocking(False)
        # A shell starts background jobs with SIGINT ignored; whoever sends it by hand still means it.
        handler = signal.signal(signal.SIGINT, self._raise)
        self._previous = (handler, signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False))
        threading.Thread(target=self._watch, name="interrupt", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            handler, wakeup = self._previous
            signal.set_wakeup_fd(wakeup)
            signal.signal(signal.SIGINT, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]
        self._writer.close()

    @staticmethod
    def _raise(_signal: int, _frame: FrameType | None) -> None:
        _RECEIVED.set()
        raise KeyboardInterrupt

    def _watch(self) -> None:
        with self._reader:
            while (byte := self._reader.recv(1)) != bytes([signal.SIGINT]):
                if not byte:
                    return
            self._reader.settimeout(self.grace)
            try:
                if not self._reader.recv(1):
                    return
            except TimeoutError:
                pass
        os.write(2, b"\ncloak: interrupted.\n")
        os._exit(INTERRUPTED)
