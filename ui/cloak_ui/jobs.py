"""The desk: takes jobs of many visitors, has one process carry them out one by one, and kills it when it must.

Visitors only watch; a job goes on when a page is closed or reloaded, and is found again by its owner.
"""

import contextlib
import multiprocessing
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cloak.errors import CloakError
from cloak.types import Effort
from cloak_ui.limits import Limits
from cloak_ui.tasks import Failed, Finished, LookTask, Message, Progress, Ready, Task
from cloak_ui.worker import work

__all__ = ["CRASHED", "TOO_LONG", "BusyError", "Desk", "Job", "safe_name"]

State = Literal["waiting", "running", "done", "failed", "cancelled"]
CRASHED, TOO_LONG = "WorkerCrashed", "TooLong"  # kinds of failure besides the names of error classes
_POLL_SECONDS = 0.1


class BusyError(CloakError):
    """The queue is full, or the visitor has enough jobs in it already.

    Args:
        key: string of the page that says so.
    """

    def __init__(self, key: Literal["queue_full", "own_queue_full"]) -> None:
        super().__init__(key)
        self.key = key


@dataclass
class Job:
    """One task of one visitor; written by the desk's thread only, but for the two requests.

    Args:
        id: not to be guessed.
        owner: who may see it.
        folder: where everything of it lies.
        task: what is to be done.
        progress: the last event.
        share: of its time that has passed, [0, 1]; it never falls.
        pictures: views so far, by name.
        facts: what was found out about the picture.
        figures: what was measured.
        files: results.
        failure: why it failed.
        version: grows with every change, so that watchers send only news.
        finishing: asked to come to an end with what it has.
        dropped: asked to stop at once.
    """

    id: str
    owner: str
    folder: Path
    task: Task
    state: State = "waiting"
    progress: Progress = field(default_factory=Progress)
    share: float = 0.0
    pictures: dict[str, Path] = field(default_factory=dict)
    facts: dict[str, str | int | bool] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    failure: Failed | None = None
    version: int = 0
    finishing: bool = False
    dropped: bool = False
    ended_at: float | None = None

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


def safe_name(name: str) -> str:
    """A file name without path, hidden start or characters that mean something to a shell or a browser."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c.isalnum() or c in " ._-()" else "_" for c in base).strip(" .")
    stem, dot, suffix = kept.rpartition(".")
    return (stem[:80] + dot + suffix[:10] if dot else kept[:80]) or "picture"


class Desk:
    """Owns the queue, the working process and the folder with everybody's files.

    Args:
        folder: becomes the desk's own; what lies in it is deleted at the start and at the end.
        limits: how much is taken on.
    """

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        self.rates: dict[Effort, float] = {}
        self._jobs: dict[str, Job] = {}
        self._served: dict[str, float] = {}  # when an owner was last served
        self._changed = threading.Condition()
        self._closed = False
        self._worker: _Worker | None = None
        self._thread = threading.Thread(target=self._serve, name="desk", daemon=True)
        self._thread.start()

    def submit(self, owner: str, source: Path, make: Callable[[Path], Task], *, name: str | None = None) -> Job:
        """Take a job on. The source is copied, so that the job doesn't depend on it any more.

        Raises:
            BusyError: there are too many.
        """
        with self._changed:
            unfinished = [job for job in self._jobs.values() if not job.over]
            if sum(job.owner == owner for job in unfinished) >= self.limits.max_per_owner:
                raise BusyError("own_queue_full")
            if sum(job.state == "waiting" for job in unfinished) >= self.limits.max_waiting:
                raise BusyError("queue_full")
            identity = secrets.token_urlsafe(16)
            folder = self.folder / identity
            folder.mkdir(mode=0o700)
            copy = folder / safe_name(name or source.name)
            shutil.copyfile(source, copy)
            job = self._jobs[identity] = Job(identity, owner, folder, make(copy))
            self._changed.notify_all()
            return job

    def find(self, owner: str, identity: str) -> Job | None:
        """A job of this owner, None when it is not his or gone."""
        job = self._jobs.get(identity)
        return job if job is not None and secrets.compare_digest(job.owner, owner) else None

    def place(self, job: Job) -> int:
        """How many jobs are served before a waiting one, 0 for others."""
        with self._changed:
            waiting = self._in_order()
            running = sum(other.state == "running" for other in self._jobs.values())
        return waiting.index(job) + running if job in waiting else 0

    def cancel(self, job: Job) -> None:
        """Stop at once and keep nothing."""
        with self._changed:
            job.dropped = True
            if job.state == "waiting":
                self._end(job, "cancelled")

    def finish(self, job: Job) -> None:
        """Come to an end soon, with what was reached."""
        job.finishing = True

    def close(self) -> None:
        """Stop everything and delete all files."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _serve(self) -> None:
        self._worker = _Worker(self.limits)
        while (job := self._next()) is not None:
            self._carry_out(job)
        if self._worker is not None:
            self._worker.kill()

    def _next(self) -> Job | None:
        """The next job to carry out; None at the end."""
        with self._changed:
            while not self._closed:
                self._forget_old()
                self._hear_idle_worker()
                if waiting := self._in_order():
                    job = waiting[0]
                    self._served[job.owner] = time.monotonic()
                    job.state = "running"
                    job.version += 1
                    return job
                self._changed.wait(0.5)
        return None

    def _in_order(self) -> list[Job]:
        """Looks are quick and come first; then whoever was served longest ago."""
        waiting = [job for job in self._jobs.values() if job.state == "waiting"]
        return sorted(waiting, key=lambda job: (not isinstance(job.task, LookTask), self._served.get(job.owner, 0.0)))

    def _hear_idle_worker(self) -> None:
        if self._worker is not None and (message := self._worker.hear(0)) is not None:
            self._take(None, message)

    def _carry_out(self, job: Job) -> None:
        if self._worker is None or not self._worker.alive:
            self._worker = _Worker(self.limits)
        worker, begin = self._worker, time.monotonic()
        worker.begin(job.task, job.folder)
        while not job.over:
            if job.finishing:
                worker.enough.set()
            message = worker.hear(_POLL_SECONDS)
            if message is not None:
                self._take(job, message)
            elif job.dropped or self._closed:
                self._stop(job, "cancelled")
            elif time.monotonic() - begin > self.limits.job_seconds:
                self._stop(job, "failed", Failed(TOO_LONG, ""))
            elif not worker.alive:
                self._stop(job, "failed", Failed(CRASHED, ""))
            if job.dropped and not job.over:
                self._stop(job, "cancelled")

    def _stop(self, job: Job, state: State, failure: Failed | None = None) -> None:
        if self._worker is not None:
            self._worker.kill()
        self._worker = None if self._closed else _Worker(self.limits)  # ready by the time of the next job
        self._end(job, state, failure)

    def _take(self, job: Job | None, message: Message) -> None:
        if isinstance(message, Ready):
            self.rates = message.rates
        elif job is None:
            return
        elif isinstance(message, Progress):
            if message.stage is not None:
                job.progress, job.share = message, max(job.share, _share(message))
            job.pictures = job.pictures | message.pictures
            job.facts = job.facts | message.facts
            job.figures = job.figures | message.figures
            job.version += 1
        elif isinstance(message, Finished):
            job.files = message.files
            self._end(job, "done")
        else:
            self._end(job, "failed", message)

    def _end(self, job: Job, state: State, failure: Failed | None = None) -> None:
        job.failure, job.ended_at = failure, time.monotonic()
        if state != "done":
            shutil.rmtree(job.folder, ignore_errors=True)
        job.state = state
        job.version += 1

    def _forget_old(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.ended_at is not None and now - job.ended_at > self.limits.keep_seconds:
                shutil.rmtree(job.folder, ignore_errors=True)
                del self._jobs[job.id]
        owners = {job.owner for job in self._jobs.values()}
        self._served = {owner: moment for owner, moment in self._served.items() if owner in owners}


def _share(progress: Progress) -> float:
    if progress.eta_seconds is None or progress.seconds + progress.eta_seconds <= 0:
        return 0.0
    return progress.seconds / (progress.seconds + progress.eta_seconds)


class _Worker:
    """The working process with the line to it."""

    def __init__(self, limits: Limits) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.enough = context.Event()
        self._process = context.Process(
            target=work, args=(theirs, self.enough, limits), name="cloak-worker", daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def begin(self, task: Task, folder: Path) -> None:
        self.enough.clear()
        with contextlib.suppress(BrokenPipeError):  # it died; whoever listens will see that
            self._connection.send((task, folder))

    def hear(self, seconds: float) -> Any:
        """The next message, None when there is none within this time."""
        try:
            return self._connection.recv() if self._connection.poll(seconds) else None
        except (EOFError, OSError):
            time.sleep(min(seconds, _POLL_SECONDS))
            return None

    def kill(self) -> None:
        self._process.kill()
        self._process.join(timeout=5)
        self._connection.close()
