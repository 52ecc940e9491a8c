"""What a person is told before and after the work."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from cloak.cli import engine
from cloak.cli.console import say, stderr_console
from cloak.cli.jobs import Job
from cloak.cli.outcome import Outcome
from cloak.cli.quantities import format_about
from cloak.config import ProtectConfig
from cloak.types import CLOAKED_MARK

__all__ = ["announce", "models_note", "show_outcome", "show_summary", "warn_about_inputs"]

REAL_MODEL_HINT = "cloak models pull recommended"
_FIGURES = ("largest change", "LPIPS", "seen shift", "left at worst", "time")


def announce(jobs: Sequence[Job], settings: ProtectConfig, models: Sequence[str]) -> None:
    """Say what is about to be done, where and how long it will take."""
    todo = [job for job in jobs if job.problem is None]
    if not todo:
        return
    device = engine.device_name(settings.device)
    rate = engine.seconds_per_megapixel(settings.effort)
    megapixels = sum(job.megapixels for job in todo)
    sizes_known = all(job.size is not None for job in todo)
    about = format_about(rate * megapixels) if rate is not None and sizes_known else "time unknown"
    pictures = "1 picture" if len(todo) == 1 else f"{len(todo)} pictures"
    say(f"Device: {device}. {pictures}, {megapixels:.2g} megapixels, effort {settings.effort}: {about}.")
    say(f"Models: {', '.join(models)}.")
    if settings.key is not None and not engine.follows_key(settings.method):
        say(f"Note: the method {settings.method} follows no style, so the key changes nothing; see `cloak key show`.")


def warn_about_inputs(jobs: Sequence[Job]) -> None:
    """A picture that was cloaked before gets a second cloak on top of the first."""
    for job in jobs:
        if CLOAKED_MARK in job.name.lower() and job.problem is None:
            say(f"Note: {job.name} looks like an output of cloak; a second cloak on top only makes it more visible.")


def show_outcome(outcome: Outcome) -> None:
    """The plain-language end of one input."""
    if outcome.failure is not None:
        message = outcome.failure.message
        say(f"Failed: {message}" if outcome.input in message else f"Failed: {outcome.input}: {message}", style="red")
    elif outcome.plan is not None:
        say(_planned_text(outcome))
    else:
        say(f"{outcome.input} -> {outcome.output or 'standard output'}", style="green")
        certificate = outcome.certificate or {}
        say(f"  {certificate.get('verdict', '')}".rstrip())
        for part in certificate.get("left_out", []):
            say(f"  Left out, since it no longer holds for the changed picture: {part}. See `cloak sign --help`.")


def _planned_text(outcome: Outcome) -> str:
    plan = outcome.plan or {}
    size = f"{plan['width']} x {plan['height']} pixels" if plan.get("width") else "size unknown"
    seconds = plan.get("estimated_seconds")
    about = "time unknown" if seconds is None else format_about(seconds)
    target = outcome.output or "standard output"
    return (
        f"{outcome.input} -> {target}: {size}, {about}, models {', '.join(plan['models'])} (dry run, nothing written)"
    )


def show_summary(outcomes: Sequence[Outcome], models: Sequence[str]) -> None:
    """What was reached over all pictures, and with which models."""
    done = [outcome for outcome in outcomes if outcome.status == "done"]
    if not done:
        return
    if len(outcomes) > 1:
        table = Table("picture", *_FIGURES, box=None, pad_edge=False, header_style="bold")
        for outcome in outcomes:
            table.add_row(outcome.input, *_figures(outcome.certificate))
        say("")
        stderr_console().print(table, soft_wrap=False)
        say(f"{len(done)} of {len(outcomes)} pictures are cloaked.")
    explained = all(REAL_MODEL_HINT in (outcome.certificate or {}).get("verdict", "") for outcome in done)
    say(models_note(models, explain=not explained))


def _figures(certificate: dict[str, Any] | None) -> list[str]:
    """The row of a picture below `_FIGURES`; "-" for what was not measured."""
    if certificate is None:
        return ["failed"] + ["-"] * (len(_FIGURES) - 1)
    visible = certificate.get("visibility", {})
    seen = [effect for effect in certificate.get("effects", []) if effect["sizes"]]
    figures = [
        ("{:.0f} of 255", visible.get("max_change")),
        ("{:.4f}", visible.get("lpips")),
        ("{:.1f} x noise", seen[0]["sizes"][0]["times_noise"] if seen else None),
        ("{:.0%}", min(seen[0]["remains"].values(), default=None) if seen else None),
        ("{:.0f} s", certificate.get("seconds")),
    ]
    return ["-" if figure is None else text.format(figure) for text, figure in figures]


def models_note(models: Sequence[str], *, explain: bool) -> str:
    """Which models were used; with `explain` also what it means when only embedded ones were."""
    used = f"Models used: {', '.join(models)}"
    if not models or not set(models) <= engine.embedded_names():
        return f"{used}."
    used = f"{used} (small stand-ins that ship with artcloak)."
    meaning = (
        f"Real generators may be moved less than they are; for autoencoders of the real families: {REAL_MODEL_HINT}"
    )
    return f"{used} {meaning}" if explain else used
