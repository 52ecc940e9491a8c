"""`cloak protect`: cloak one picture or several."""

import functools
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from cloak.cli import engine, summary
from cloak.cli.interrupt import INTERRUPTED
from cloak.cli.jobs import Job, plan_jobs
from cloak.cli.options import ProtectOptions, settings_of
from cloak.cli.outcome import Outcome, exit_code, print_json
from cloak.cli.streams import STANDARD_STREAM
from cloak.cli.work import protect_job, run_jobs
from cloak.config import ProtectConfig
from cloak.errors import CloakError, UsageError

__all__ = ["protect"]

_DEFAULTS = ProtectOptions.model_validate({})


def protect(
    *inputs: str,
    settings: Annotated[ProtectOptions, Parameter(name="*")] = _DEFAULTS,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Cloak pictures before they are posted; a.png becomes a.cloaked.png beside it, and a.png is never changed.

    Examples: `cloak protect painting.png`, `cloak protect *.jpg -o cloaked/ --effort thorough`,
    `cloak protect - < a.png > b.png`.

    Args:
        inputs: Pictures (PNG, JPEG, WebP, TIFF, BMP, AVIF), or - for standard input.
        settings: Everything that decides what the output looks like.
        output: File or folder to write to, - for standard output; without it, beside each input.
        overwrite: Replace outputs that exist already.
        as_json: Print one JSON object per input on standard output, and nothing else there.
        dry_run: Say what would be written, how large it is and how long it would take; write nothing.
    """
    _check_streams(inputs, output, as_json=as_json, dry_run=dry_run)
    jobs, chosen = plan_jobs(inputs, output, settings=settings_of(settings), overwrite=overwrite)
    jobs, models = _check_names(jobs, chosen)
    protector = functools.cache(lambda: engine.create_protector(chosen))
    titles = {id(job): f"[{place}/{len(jobs)}] {job.name}" for place, job in enumerate(jobs, start=1)}

    def attempt(job: Job) -> Outcome:
        if dry_run:
            return _plan(job, chosen, models)
        title = titles[id(job)] if len(jobs) > 1 else job.name
        return protect_job(job, protector(), overwrite=overwrite, title=title)

    def report(outcome: Outcome) -> None:
        if as_json:
            print_json(outcome.as_json())
        summary.show_outcome(outcome)

    summary.warn_about_inputs(jobs)
    if not dry_run:
        summary.announce(jobs, chosen, models)
    outcomes, interrupted = run_jobs(jobs, attempt, report)
    if not as_json:
        summary.show_summary(outcomes, models)
    return INTERRUPTED if interrupted else exit_code(outcomes)


def _check_streams(inputs: Sequence[str], output: str | None, *, as_json: bool, dry_run: bool) -> None:
    if list(inputs).count(STANDARD_STREAM) > 1:
        raise UsageError("Standard input (-) can be given only once.")
    to_stdout = output == STANDARD_STREAM or (STANDARD_STREAM in inputs and output is None)
    if not to_stdout or dry_run:
        return
    if as_json:
        raise UsageError("--json and the picture cannot both go to standard output; give -o FILE.")
    if sys.stdout.isatty():
        raise UsageError("The picture would go to the terminal; redirect it (> cloaked.png) or give -o FILE.")


def _check_names(jobs: list[Job], settings: ProtectConfig) -> tuple[list[Job], list[str]]:
    """Names of the models to be used; when one is missing, every job fails for that reason."""
    try:
        engine.check_method(settings.method)
        return jobs, engine.model_names(settings.models)
    except UsageError:
        raise
    except CloakError as problem:
        return [job if job.problem else replace(job, problem=problem) for job in jobs], []


def _plan(job: Job, settings: ProtectConfig, models: Sequence[str]) -> Outcome:
    """What would be done; the picture is read, so that a broken one is named now."""
    width, height = engine.open_picture(job.source).size
    rate = engine.seconds_per_megapixel(settings.effort)
    plan = {
        "width": width,
        "height": height,
        "estimated_seconds": None if rate is None else rate * width * height / 1e6,
        "models": list(models),
        "settings": settings.model_dump(mode="json"),
    }
    return Outcome(job.name, "planned", output=job.output, plan=plan)
