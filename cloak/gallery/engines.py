"""How workers are run: in processes on this machine; `cloak.gallery.cluster` has the same for Ray."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from cloak.gallery.tasks import Cloaked, Failed, Lost, Message, Task
from cloak.memory import free_memory

__all__ = ["Engine", "LocalEngine", "default_workers"]

_WORKER_MEMORY = 3_000_000_000  # bytes; what a picture of a megapixel takes with `standard`
_SPAWN = multiprocessing.get_context("spawn")


class Engine(Protocol):
    """Workers that each take one task, or several of the same settings, at a time."""

    def workers(self) -> int:
        """How many there are, at work or not."""

    def free(self) -> int:
        """How many of them can be given something now."""

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand tasks to a free worker; there must be one."""

    def messages(self, timeout: float) -> Iterator[Message]:
        """What workers have said; waits at most so many seconds for the first. The last task's end frees a worker."""

    def is_gone(self, machine: str) -> bool:
        """Whether a machine, as `Lost` names it, was lost with all that was on it; may be noticed late."""

    def close(self) -> None:
        """End the workers at once, whatever they do."""


def default_workers(device: str) -> int:
    """One for each GPU; on a CPU one for each core as far as memory reaches."""
    if device != "cpu":
        import torch

        return max(1, torch.cuda.device_count()) if device == "cuda" else 1
    memory = free_memory()
    room = len(_cores()) if memory is None else memory // _WORKER_MEMORY
    return max(1, min(len(_cores()), room))


def _cores() -> "set[int] | range":
    """Those that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _threads(workers: int) -> int:
    """Threads of each worker: its share of the cores, but no more than the person allows."""
    share, allowed = max(1, len(_cores()) // workers), os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(allowed)) if allowed.isdecimal() and int(allowed) else share


class LocalEngine:
    """Processes on this machine; they end with the run, also when it is killed.

    Args:
        workers: how many; on a machine with several GPUs each has its own.
        device: "cpu", "cuda" or "mps".
        factory: makes what carries out tasks, in the worker's process; tests replace it.
    """

    def __init__(self, *, workers: int, device: str, factory: Callable[[], Any]) -> None:
        self._arguments = _threads(workers), device, factory
        self._workers = [_Process(*self._arguments, number) for number in range(workers)]

    def workers(self) -> int:
        return len(self._workers)

    def free(self) -> int:
        return sum(not worker.unfinished for worker in self._workers)

    def submit(self, tasks: Sequence[Task]) -> None:
        next(worker for worker in self._workers if not worker.unfinished).take(tasks)

    def messages(self, timeout: float) -> Iterator[Message]:
        busy = {worker.connection: place for place, worker in enumerate(self._workers) if worker.unfinished}
        for connection in wait(list(busy), timeout):
            place = busy[connection]  # type: ignore[index]
            worker = self._workers[place]
            try:
                message: Message = worker.connection.recv()
            except (EOFError, OSError):
                worker.end()
                self._workers[place] = _Process(*self._arguments, place)
                yield from (Lost(name, alone=worker.alone) for name in worker.unfinished)
                continue
            if isinstance(message, Cloaked | Failed):
                worker.unfinished.remove(message.name)
            yield message

    def is_gone(self, machine: str) -> bool:  # noqa: ARG002 (it is this one)
        return False

    def close(self) -> None:
        for worker in self._workers:
            worker.end()


class _Process:
    """A worker's process, and the names of what it is at work on."""

    def __init__(self, threads: int, device: str, factory: Callable[[], Any], number: int) -> None:
        self.unfinished: list[str] = []
        self.alone = True
        self.connection, other = _SPAWN.Pipe()
        arguments = other, threads, number if device == "cuda" else None, factory
        self._process: SpawnProcess = _SPAWN.Process(target=_serve, args=arguments, name=f"cloak-{number}", daemon=True)
        with _environment("OMP_NUM_THREADS", str(threads)):  # read when torch is imported
            self._process.start()
        other.close()  # so that its end is noticed when the process ends

    def take(self, tasks: Sequence[Task]) -> None:
        self.unfinished, self.alone = [task.name for task in tasks], len(tasks) == 1
        with contextlib.suppress(OSError):  # it has ended; reading from the connection will tell
            self.connection.send(tasks)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


class _environment:  # noqa: N801 (used as a statement)
    """A variable for the processes that are started inside."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value, self._before = name, value, os.environ.get(name)

    def __enter__(self) -> None:
        os.environ[self._name] = self._value

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del os.environ[self._name]
        else:
            os.environ[self._name] = self._before


def _serve(connection: Connection, threads: int, gpu: int | None, factory: Callable[[], Any]) -> None:
    """A worker's life: tasks until the run is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to answer
    threading.Thread(target=_end_with_parent, daemon=True, name="parent").start()
    _set_up_torch(threads, gpu)
    worker = factory()
    try:
        while True:
            for message in worker.carry_out(connection.recv()):
                connection.send(message)
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _set_up_torch(threads: int, gpu: int | None) -> None:
    import torch

    torch.set_num_threads(threads)
    if gpu is not None:
        torch.cuda.set_device(gpu % torch.cuda.device_count())
