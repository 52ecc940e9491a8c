"""Shows the steps of a job: a moving bar with the time left on a terminal, a line now and then elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from cloak.cli.console import animated, say, stderr_console
from cloak.cli.quantities import format_about
from cloak.types import Stage, Step

__all__ = ["ShowStep", "fraction_done", "show_steps"]

ShowStep = Callable[[Step], None]
LINE_EVERY_SECONDS = 15.0

_STAGES: dict[Stage, str] = {
    "read": "reading",
    "models": "loading the models",
    "prepare": "preparing",
    "attack": "cloaking",
    "fit": "keeping it within the visibility limit",
    "write": "writing",
    "verify": "reading the file back and measuring",
    "done": "done",
}


@contextlib.contextmanager
def show_steps(name: str) -> Iterator[ShowStep]:
    """Yields a function that shows each step of the picture called `name`."""
    if not animated():
        yield _Lines(name)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=30))
    left = TextColumn("{task.fields[left]}", markup=False)
    with Progress(*columns, left, console=stderr_console(), transient=True) as progress:
        yield _Bar(progress, name)


def fraction_done(step: Step) -> float | None:
    """Share of the job's time that has passed, [0, 1]; None when the end cannot be estimated yet."""
    if step.stage == "done":
        return 1.0
    if step.eta_seconds is None or step.seconds + step.eta_seconds <= 0:
        return None
    return step.seconds / (step.seconds + step.eta_seconds)


def _describe(step: Step) -> str:
    return step.message or _STAGES.get(step.stage, step.stage)


def _time_left(step: Step) -> str:
    return "" if step.eta_seconds is None else f"{format_about(step.eta_seconds)} left"


class _Bar:
    """Moves forward only, also when an estimate grows."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress, self.name, self.furthest = progress, name, 0.0
        self.task: TaskID = progress.add_task(name, total=None, left="")

    def __call__(self, step: Step) -> None:
        fraction = fraction_done(step)
        self.furthest = max(self.furthest, fraction or 0.0)
        self.progress.update(
            self.task,
            description=f"{self.name}: {_describe(step)}",
            total=None if fraction is None and not self.furthest else 1.0,
            completed=self.furthest,
            left=_time_left(step),
        )


class _Lines:
    """For logs and pipes: no line in the first seconds, then one every `LINE_EVERY_SECONDS`."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, time.monotonic()

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        if now - self.last < LINE_EVERY_SECONDS:
            return
        self.last = now
        count = f" {step.index}/{step.total}" if step.total else ""
        left = _time_left(step)
        say(f"{self.name}: {_describe(step)}{count}{', ' + left if left else ''}")
