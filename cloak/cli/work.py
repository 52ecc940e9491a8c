"""Carries out jobs one after the other; a failed picture never stops the others, Ctrl-C stops all."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cloak.cli.failures import explain, show_details
from cloak.cli.interrupt import received
from cloak.cli.jobs import Job
from cloak.cli.outcome import Outcome
from cloak.cli.progress import ShowStep, show_steps
from cloak.cli.streams import write_stdout
from cloak.types import Step

if TYPE_CHECKING:
    from cloak.protect import Protector

__all__ = ["failed", "protect_job", "run_jobs"]


def run_jobs(
    jobs: Sequence[Job], attempt: Callable[[Job], Outcome], report: Callable[[Outcome], None]
) -> tuple[list[Outcome], bool]:
    """Attempt every job and report each outcome when it is there; also tells whether it was interrupted.

    After Ctrl-C the remaining jobs are reported as interrupted without being attempted.
    """
    outcomes: list[Outcome] = []
    stopped: KeyboardInterrupt | None = None
    for job in jobs:
        try:
            outcome = failed(job, stopped) if stopped else _settle(job, attempt)
        except KeyboardInterrupt as interrupt:
            stopped, outcome = interrupt, failed(job, interrupt)
        report(outcome)
        outcomes.append(outcome)
    return outcomes, stopped is not None


def failed(job: Job, error: BaseException) -> Outcome:
    """The outcome of a job that ended with `error`."""
    return Outcome(job.name, "failed", failure=explain(error))


def protect_job(job: Job, protector: "Protector", *, overwrite: bool, title: str) -> Outcome:
    """Protect one picture, showing its steps under `title`."""
    if job.output is not None:
        job.output.parent.mkdir(parents=True, exist_ok=True)
    with show_steps(title) as show:
        result = _consume(protector.steps(job.source, job.output, overwrite=overwrite), show)
    if job.output is None:
        write_stdout(result.data)
    certificate = result.certificate.model_dump(mode="json")
    return Outcome(job.name, "done", output=result.path, certificate=certificate)


def _settle(job: Job, attempt: Callable[[Job], Outcome]) -> Outcome:
    if job.problem is not None:
        return failed(job, job.problem)
    try:
        return attempt(job)
    except Exception as error:
        if received():  # a library turned Ctrl-C into an error of its own
            raise KeyboardInterrupt from error
        show_details(error)
        return failed(job, error)


def _consume(steps: Iterator[Step], show: ShowStep) -> Any:
    """The result that the last step carries; leaving early closes the generator, which cancels the work."""
    result = None
    with contextlib.ExitStack() as stack:
        if isinstance(steps, Generator):
            stack.callback(steps.close)
        for step in steps:
            show(step)
            result = step.result or result
    if result is None:
        raise RuntimeError("the protection ended without a result")
    return result
