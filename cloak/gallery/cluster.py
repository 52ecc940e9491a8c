"""Workers on a Ray cluster: the same tasks and messages as in local processes; journal and files stay with the run.

Originals travel to the workers and results back, so workers need no common file system. Ray restarts a worker that was
lost; what it was at work on is handed out again by the run.
"""

import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from cloak.errors import MissingExtraError, UsageError
from cloak.gallery.tasks import Lost, Message, Task

__all__ = ["RayEngine"]

_OLDEST = (2, 52)  # earlier ones let anyone who reaches the dashboard run programs (CVE-2025-62593)


class RayEngine:
    """Ray actors that each load the models once.

    Args:
        workers: how many; None for one on each GPU of the cluster, or else on each core.
        address: "auto" or host:port of a cluster; None starts one on this machine, without dashboard, that asks for a
            token. Clusters should ask for one, too (RAY_AUTH_MODE=token).
        factory: makes what carries out tasks, on the worker; tests replace it.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: it is too old, or there is no cluster at the address.
    """

    def __init__(self, *, workers: int | None, address: str | None, factory: Callable[[], Any]) -> None:
        self._ray = ray = _ray()
        self._started = not ray.is_initialized()
        if self._started:
            _connect(ray, address)
        gpus = int(ray.cluster_resources().get("GPU", 0))
        count = workers or gpus or max(1, int(ray.cluster_resources().get("CPU", 1)))
        actor = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_restarts=-1, max_task_retries=0)(_Actor)
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Task]] = {}
        self._starting: dict[Any, Any] = {}  # by the answer that they have not given yet
        for _ in range(count):
            self._expect(actor.remote(factory))

    def free(self) -> int:
        return len(self._idle)

    def submit(self, task: Task) -> None:
        worker = self._idle.pop()
        self._busy[worker.carry_out.remote(task)] = worker, task

    def messages(self, timeout: float) -> Iterator[Message]:
        waited = [*self._busy, *self._starting]
        ready, _ = self._ray.wait(waited, num_returns=1, timeout=timeout)
        for reference in ready:
            if reference in self._busy:
                yield self._end(reference)
            else:
                self._welcome(reference)

    def _end(self, reference: Any) -> Message:
        worker, task = self._busy.pop(reference)
        try:
            message: Message = self._ray.get(reference)
        except self._ray.exceptions.RayError:  # the worker or its machine is gone
            self._expect(worker)
            return Lost(task.name)
        self._idle.append(worker)
        return message

    def _expect(self, worker: Any) -> None:
        """Give a worker nothing before it answers: Ray starts it when and where there is room."""
        self._starting[worker.is_ready.remote()] = worker

    def _welcome(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.ActorUnavailableError:  # it is on its way back
            self._expect(worker)
        except self._ray.exceptions.RayError as error:  # it cannot even be made
            if not (self._idle or self._busy or self._starting):
                raise UsageError(f"No worker of the cluster can start: {_last_line(error)}") from error
        else:
            self._idle.append(worker)

    def close(self) -> None:
        for worker in [*self._idle, *self._starting.values(), *(worker for worker, _ in self._busy.values())]:
            self._ray.kill(worker)
        if self._started:
            self._ray.shutdown()


class _Actor:
    """Runs on a worker of the cluster; Ray sets the number of threads from the cores that it gives."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._worker = factory()

    def is_ready(self) -> bool:
        return True

    def carry_out(self, task: Task) -> Message:
        *_, last = self._worker.carry_out(task)
        message: Message = last
        return message


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _ray() -> Any:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray", "cluster") from error
    if tuple(int(part) for part in ray.__version__.split(".")[:2]) < _OLDEST:
        raise UsageError(f"Ray {ray.__version__} has known holes; update it: pip install -U 'artcloak[cluster]'")
    return ray


def _connect(ray: Any, address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "warning"}
    try:
        if address is None:
            os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray makes one for this cluster
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"There is no Ray cluster to be used at {address or 'this machine'}: {reason}") from error
