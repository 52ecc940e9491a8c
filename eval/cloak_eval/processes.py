"""Processes that compute beside each other, one core each."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event

import torch

__all__ = ["one_core_each"]


@contextmanager
def one_core_each(workers: int) -> Iterator[Executor]:
    """A pool of fresh processes with one thread each.

    They end within a second of this process, however it ends, and of an exception that leaves the block (Ctrl-C, a
    generator that is closed): what they are at is given up, what waits is not begun.
    """
    spawn = multiprocessing.get_context("spawn")
    given_up = spawn.Event()
    with ProcessPoolExecutor(workers, spawn, initializer=_start, initargs=(os.getpid(), given_up)) as pool:
        try:
            yield pool
        except BaseException:
            given_up.set()
            raise


def _start(parent: int, given_up: Event) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent and not given_up.is_set():
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()
