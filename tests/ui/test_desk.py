"""The queue, with a working process that is scripted instead of started."""

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from PIL import Image

from cloak.config import ProtectConfig
from cloak.protect import Protector
from cloak_ui import jobs
from cloak_ui.jobs import CRASHED, TOO_LONG, BusyError, Desk, Job
from cloak_ui.limits import Limits
from cloak_ui.tasks import Finished, LookTask, Progress, ProtectTask, Ready, Task


class Scripted:
    """Answers each task with one event, and with the end once it is allowed to."""

    started: ClassVar[list["Scripted"]] = []
    served: ClassVar[list[str]] = []
    hold = False

    def __init__(self, _: Limits) -> None:
        self.alive, self.outbox, self.killed = True, [Ready({"instant": 1.0}, "cpu")], False
        self.enough = self
        self.stopped_early = False
        Scripted.started.append(self)

    def set(self) -> None:
        self.stopped_early = True

    def begin(self, task: Task, folder: Path) -> None:
        Scripted.served.append(task.source.name)
        self.outbox.append(Progress("attack", 1, 2, 1.0, 1.0))
        (folder / "result").write_text("done")

    def hear(self, _: float) -> Any:
        if self.outbox:
            return self.outbox.pop(0)
        if Scripted.hold and not self.stopped_early:
            time.sleep(0.01)
            return None
        return Finished({"picture": Path("result")}) if Scripted.served else None

    def kill(self) -> None:
        self.alive, self.killed = False, True


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    monkeypatch.setattr(jobs, "_Worker", Scripted)
    monkeypatch.setattr(Scripted, "started", [])
    monkeypatch.setattr(Scripted, "served", [])
    monkeypatch.setattr(Scripted, "hold", False)
    opened: list[Desk] = []

    def make(**limits: Any) -> Desk:
        opened.append(Desk(tmp_path / "jobs", Limits(**limits)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
        assert not one.folder.exists()


def take(desk: Desk, owner: str, name: str, *, look: bool = False) -> Job:
    source = desk.folder.parent / name
    source.write_bytes(b"picture")
    return desk.submit(owner, source, LookTask if look else lambda copy: ProtectTask(copy, ProtectConfig()))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within five seconds"
        time.sleep(0.01)


def test_job_runs_and_only_its_owner_finds_it(desk: Callable[..., Desk]) -> None:
    made = desk()
    job = take(made, "me", "a.png")
    until(lambda: job.over)
    assert (job.state, job.share) == ("done", 0.5)
    assert made.find("me", job.id) is job
    assert made.find("you", job.id) is None
    assert made.rates == {"instant": 1.0}


def test_looks_come_first_and_owners_take_turns(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "hold", True)
    made = desk()
    first = take(made, "greedy", "1.png")
    until(lambda: first.state == "running")
    waiting = [take(made, "greedy", "2.png"), take(made, "greedy", "3.png"), take(made, "modest", "4.png")]
    waiting.append(take(made, "late", "look.png", look=True))
    assert [made.place(job) for job in waiting] == [3, 4, 2, 1]
    monkeypatch.setattr(Scripted, "hold", False)
    until(lambda: all(job.over for job in waiting))
    assert Scripted.served == ["1.png", "look.png", "4.png", "2.png", "3.png"]


def test_too_many_jobs_are_refused(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "hold", True)
    made = desk(max_per_owner=2, max_waiting=2)
    running = take(made, "a", "1.png")
    until(lambda: running.state == "running")
    take(made, "a", "2.png")
    with pytest.raises(BusyError, match="own_queue_full"):
        take(made, "a", "3.png")
    take(made, "b", "4.png")
    with pytest.raises(BusyError, match=r"^queue_full"):
        take(made, "c", "5.png")


def test_cancel_kills_and_deletes_and_the_next_job_runs(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "hold", True)
    made = desk()
    job, waiting = take(made, "me", "a.png"), take(made, "me", "b.png")
    until(lambda: job.state == "running")
    made.cancel(waiting)
    made.cancel(job)
    until(lambda: job.over)
    assert (job.state, waiting.state) == ("cancelled", "cancelled")
    assert Scripted.started[0].killed
    assert not job.folder.exists()
    monkeypatch.setattr(Scripted, "hold", False)
    after = take(made, "me", "c.png")
    until(lambda: after.state == "done")


def test_early_end_keeps_the_result(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "hold", True)
    made = desk()
    job = take(made, "me", "a.png")
    until(lambda: job.state == "running")
    made.finish(job)
    until(lambda: job.over)
    assert job.state == "done"


def test_dead_worker_and_endless_job_are_told_apart(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "hold", True)
    made = desk(job_seconds=0.5)
    job = take(made, "me", "a.png")
    until(lambda: job.over)
    assert job.failure is not None
    assert job.failure.kind == TOO_LONG
    crashing = take(made, "me", "b.png")
    until(lambda: crashing.state == "running")
    Scripted.started[-1].alive = False
    until(lambda: crashing.over)
    assert crashing.failure is not None
    assert crashing.failure.kind == CRASHED


def test_old_jobs_are_forgotten_with_their_files(desk: Callable[..., Desk]) -> None:
    made = desk(keep_seconds=0.1)
    job = take(made, "me", "a.png")
    until(lambda: job.over)
    until(lambda: made.find("me", job.id) is None)
    assert not job.folder.exists()


def test_a_picture_brought_to_an_early_end_is_certified_with_what_was_reached() -> None:
    protector = Protector(effort="thorough", device="cpu")
    steps = list(protector.steps(drawn_contents(), enough=lambda: True))
    assert steps[-1].result.certificate.steps == 1


def drawn_contents() -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((24, 24)).convert("RGB").save(stream, "PNG")
    return stream.getvalue()
