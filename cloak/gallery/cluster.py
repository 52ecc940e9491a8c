"""Workers on a Ray cluster: the same tasks and messages as in local processes; journal and files stay with the run.

Originals travel to the workers and results back, so workers need no common file system. Ray restarts a worker that was
lost; what it was at work on is handed out again by the run.
"""

import importlib
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
        address: "auto" or host:port of a cluster; None starts one on this machine, reachable from this machine only and
            without its dashboard. Clusters should ask for a token (RAY_AUTH_MODE=token).
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
        self._idle = [actor.remote(factory) for _ in range(count)]
        self._busy: dict[Any, tuple[Any, Task]] = {}

    def free(self) -> int:
        return len(self._idle)

    def submit(self, task: Task) -> None:
        worker = self._idle.pop()
        self._busy[worker.carry_out.remote(task)] = worker, task

    def messages(self, timeout: float) -> Iterator[Message]:
        if not self._busy:
            return
        ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=timeout)
        for reference in ready:
            worker, task = self._busy.pop(reference)
            self._idle.append(worker)
            try:
                message: Message = self._ray.get(reference)
            except self._ray.exceptions.RayError:  # the worker or its machine is gone
                message = Lost(task.name)
            yield message

    def close(self) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            self._ray.kill(worker)
        if self._started:
            self._ray.shutdown()


class _Actor:
    """Runs on a worker of the cluster; Ray sets the number of threads from the cores that it gives."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._worker = factory()

    def carry_out(self, task: Task) -> Message:
        *_, last = self._worker.carry_out(task)
        message: Message = last
        return message


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
            ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"There is no Ray cluster to be used at {address or 'this machine'}: {reason}") from error
