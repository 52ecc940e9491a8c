"""What a visitor has the desk do on one tab: handed in, found again after a reload, stopped."""

from collections.abc import Callable
from pathlib import Path

from cloak_ui.jobs import BusyError, Desk, Job
from cloak_ui.languages import Words
from cloak_ui.tasks import Task
from cloak_ui.watching import Memory, alert

__all__ = ["Errand"]


class Errand:
    """One job of a visitor at a time.

    Args:
        desk: carries it out.
        key: under which the browser remembers the job.
    """

    def __init__(self, desk: Desk, key: str) -> None:
        self._desk, self._key = desk, key

    def find(self, memory: Memory | None) -> Job | None:
        """The visitor's job, None when there is none or it is gone."""
        return self._desk.find(memory.get("owner", ""), memory.get(self._key, "")) if memory else None

    def submit(self, memory: Memory, source: Path, make: Callable[[Path], Task], say: Words) -> tuple[Memory, str]:
        """Take a job on; returns the memory by which it is found, and "" or a message why it is refused."""
        earlier = self.find(memory)
        if earlier is not None and not (earlier.over or earlier.dropped):
            return self.refuse(memory, say("still_running"))
        try:
            return {**memory, self._key: self._desk.submit(memory["owner"], source, make).id}, ""
        except BusyError as error:
            return self.refuse(memory, say(error.key))

    def refuse(self, memory: Memory, text: str) -> tuple[Memory, str]:
        """Take nothing on; an earlier job without a result is forgotten, so that only this message is shown."""
        earlier = self.find(memory)
        fruitless = earlier is not None and earlier.state in ("failed", "cancelled")
        return {**memory, self._key: ""} if fruitless else memory, alert(text)

    def cancel(self, memory: Memory) -> None:
        """Stop the job."""
        if job := self.find(memory):
            self._desk.cancel(job)

    def keep(self, memory: Memory) -> None:
        """Bring the job to an end with what it has."""
        if job := self.find(memory):
            self._desk.finish(job)

    def place(self, job: Job) -> int:
        """How many jobs are served before this one."""
        return self._desk.place(job)
