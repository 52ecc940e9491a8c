"""Workers on a Ray cluster: the same tasks and messages as in local processes; journal and files stay with the run.

Originals travel to the workers and results back, so workers need no common file system. Ray restarts a worker that was
lost, alone or with its machine; what it was at work on is handed out again by the run. Ray notices that a process or a
machine is gone, but waits for ever for a worker that hangs and for room that nobody makes; both are limited here.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cloak.errors import CloakError, MissingExtraError, UsageError
from cloak.gallery.tasks import Lost, Message, Progress, Task

__all__ = ["RayEngine"]

_OLDEST = (2, 52)  # earlier ones let anyone who reaches the dashboard run programs (CVE-2025-62593)
_SILENCE = 120.0  # seconds; longer than a picture keeps Python from answering, and than Ray takes to miss a machine
_NO_WORKERS = 600.0  # seconds; a cluster that grows by itself may need minutes to bring a machine
_SIGNS = "signs"  # group of calls that are answered beside the work


@dataclass(slots=True)
class _Work:
    """Tasks in a worker's hands.

    Args:
        machine: the node that it was on when it was ready.
        asked: when it was handed out or gave its last sign of life, or when the sign that is missing was asked for.
        sign: the sign of life that has not come yet.
    """

    worker: Any
    tasks: Sequence[Task]
    machine: str
    asked: float
    sign: Any | None = None

    def lost(self) -> Iterator[Message]:
        """What is to be said when the worker is gone; answers come all at once, so none has come."""
        return (Lost(task.name, len(self.tasks) == 1, self.machine) for task in self.tasks)


class RayEngine:
    """Ray actors that each load the models once.

    Args:
        workers: how many; None for one on each GPU of the cluster, or else on each core.
        address: "auto" or host:port of a cluster; None starts one on this machine, without dashboard, that asks for a
            token. Clusters should ask for one, too (RAY_AUTH_MODE=token).
        factory: makes what carries out tasks, on the worker; tests replace it.
        silence: seconds after which a worker at work that gives no sign of life is replaced.
        no_workers: seconds without any worker after which the run ends.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: it is too old, or there is no cluster at the address.
    """

    def __init__(
        self,
        *,
        workers: int | None,
        address: str | None,
        factory: Callable[[], Any],
        silence: float = _SILENCE,
        no_workers: float = _NO_WORKERS,
    ) -> None:
        if address is None:  # read when Ray is imported, and by the processes that it starts
            os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray makes one for this cluster
        self._ray = ray = _ray()
        self._silence, self._no_workers = silence, no_workers
        self._started = not ray.is_initialized()
        if self._started:
            _connect(ray, address)
        gpus = int(ray.cluster_resources().get("GPU", 0))
        count = workers or gpus or max(1, int(ray.cluster_resources().get("CPU", 1)))
        needs = {"num_cpus": 1, "num_gpus": 1 if gpus else 0}
        lives = {"max_restarts": -1, "max_task_retries": 0, "concurrency_groups": {_SIGNS: 1}}
        actor = ray.remote(**needs, **lives)(_Actor)
        self._idle: list[tuple[Any, str]] = []  # each with the node that it is on
        self._busy: dict[Any, _Work] = {}  # by the answer that they have not given yet, as in the next
        self._starting: dict[Any, Any] = {}
        self._last_worker = time.monotonic()  # when there was one, idle or busy
        for _ in range(count):
            self._expect(actor.remote(factory))

    def workers(self) -> int:
        return len(self._idle) + len(self._busy) + len(self._starting)

    def free(self) -> int:
        return len(self._idle)

    def submit(self, tasks: Sequence[Task]) -> None:
        worker, machine = self._idle.pop()
        self._busy[worker.carry_out.remote(tasks)] = _Work(worker, tasks, machine, asked=time.monotonic())

    def messages(self, timeout: float) -> Iterator[Message]:
        waited = [*self._busy, *self._starting]
        ready, _ = self._ray.wait(waited, num_returns=1, timeout=timeout)
        for reference in ready:
            if reference in self._busy:
                yield from self._end(reference)
            else:
                self._welcome(reference)
        for reference in [each for each, work in self._busy.items() if self._is_silent(work)]:
            yield from self._replace(reference)
        self._check_room()

    def _end(self, reference: Any) -> Iterable[Message]:
        work = self._busy.pop(reference)
        try:
            messages: list[Message] = self._ray.get(reference, timeout=self._silence)
        except self._ray.exceptions.RayError:  # the worker or its machine is gone, perhaps with the answer in its store
            self._expect(work.worker)
            return work.lost()
        self._idle.append((work.worker, work.machine))
        return messages

    def _is_silent(self, work: _Work) -> bool:
        """Ask for a sign of life now and then; whether one has been missing for too long."""
        now = time.monotonic()
        if work.sign is None:
            if now - work.asked >= self._silence / 4:
                work.sign, work.asked = _ask(work.worker), now
        elif (came := self._came(work.sign)) is not None:
            work.sign, work.asked = (None, now) if came else (_ask(work.worker), work.asked)
        return work.sign is not None and now - work.asked > self._silence

    def _came(self, sign: Any) -> bool | None:
        """Whether it came or failed; None while neither."""
        if not self._ray.wait([sign], timeout=0)[0]:
            return None
        try:
            return bool(self._ray.get(sign))
        except self._ray.exceptions.RayError:
            return False

    def _replace(self, reference: Any) -> Iterable[Message]:
        work = self._busy.pop(reference)
        self._ray.kill(work.worker, no_restart=False)
        self._expect(work.worker)
        return work.lost()

    def _check_room(self) -> None:
        if self._idle or self._busy:
            self._last_worker = time.monotonic()
        elif time.monotonic() - self._last_worker > self._no_workers:
            raise CloakError(
                f"The Ray cluster has had no room for a worker for {self._no_workers / 60:.0f} minutes; "
                "see `ray status`, add machines and start again: what is done is kept."
            )

    def _expect(self, worker: Any) -> None:
        """Give a worker nothing before it answers: Ray starts it when and where there is room."""
        self._starting[worker.is_ready.remote()] = worker

    def _welcome(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        try:
            machine: str = self._ray.get(reference)
        except self._ray.exceptions.ActorUnavailableError:  # it is on its way back
            self._expect(worker)
        except self._ray.exceptions.RayError as error:  # it cannot even be made
            if not (self._idle or self._busy or self._starting):
                raise UsageError(f"No worker of the cluster can start: {_last_line(error)}") from error
        else:
            self._idle.append((worker, machine))

    def is_gone(self, machine: str) -> bool:
        return not any(node["Alive"] for node in self._ray.nodes() if node["NodeID"] == machine)

    def close(self) -> None:
        idle, busy = (worker for worker, _ in self._idle), (work.worker for work in self._busy.values())
        for worker in [*idle, *self._starting.values(), *busy]:
            self._ray.kill(worker)
        if self._started:
            self._ray.shutdown()


class _Actor:
    """Runs on a worker of the cluster; Ray sets the number of threads from the cores that it gives."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._worker = factory()

    def is_ready(self) -> str:
        """Answered when there is nothing else to do, with the node."""
        node: str = _ray().get_runtime_context().get_node_id()
        return node

    def is_alive(self) -> bool:
        """Answered at once."""
        return True

    def carry_out(self, tasks: Sequence[Task]) -> list[Message]:
        return [each for each in self._worker.carry_out(tasks) if not isinstance(each, Progress)]


def _ask(worker: Any) -> Any:
    return worker.is_alive.options(concurrency_group=_SIGNS).remote()


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
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"There is no Ray cluster to be used at {address or 'this machine'}: {reason}") from error
