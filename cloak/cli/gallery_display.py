"""Shows a run of a gallery: a live table on a terminal, a line now and then elsewhere; rows for machines."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cloak.cli.console import animated, say, stderr_console
from cloak.cli.failures import Failure
from cloak.cli.outcome import SCHEMA_VERSION
from cloak.cli.quantities import format_about, format_seconds
from cloak.cli.summary import models_note

if TYPE_CHECKING:
    from cloak.gallery import Event, Tally

__all__ = ["event_row", "finished_row", "show_run", "show_summary"]

_LINE_SECONDS = 15.0
_LISTED = 50  # failures at the end; all of them are in the journal and in the output of --json

Show = "Callable[[Event], None]"


def event_row(event: "Event") -> dict[str, Any]:
    """What --json prints for an event."""
    row: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "event": event.kind, "name": event.name}
    if event.failure is not None:
        row["error"] = {"kind": event.failure.kind, "message": event.failure.message}
    elif event.message:
        row["message"] = event.message
    if event.progress is not None:
        at = event.progress
        row |= {"stage": at.stage, "index": at.index, "of": at.total, "eta_seconds": at.eta_seconds}
    if event.certificate is not None:
        certificate = event.certificate
        row |= {"output": event.output, "sha256": certificate.output.sha256, "verdict": certificate.verdict}
    return row | {"tally": _tally_row(event.tally)}


def finished_row(tally: "Tally", failures: Sequence[tuple[str, Failure]], stopped: Failure | None) -> dict[str, Any]:
    """The last row of --json, with every picture that has no result."""
    return {
        "schema_version": SCHEMA_VERSION,
        "event": "finished",
        "tally": _tally_row(tally),
        "failures": [{"name": name, "kind": each.kind, "message": each.message} for name, each in failures],
        "stopped": None if stopped is None else {"kind": stopped.kind, "message": stopped.message},
    }


def _tally_row(tally: "Tally") -> dict[str, Any]:
    return {
        "total": tally.total,
        "kept": tally.kept,
        "done": tally.done,
        "failed": tally.failed,
        "waiting": tally.waiting,
        "left_alone": tally.left_alone,
        "seconds": round(tally.seconds, 1),
        "per_minute": tally.per_minute,
        "eta_seconds": tally.eta_seconds,
    }


@contextlib.contextmanager
def show_run() -> "Iterator[Callable[[Event], None]]":
    """Yields a function that shows each event."""
    if not animated():
        yield _Lines()
        return
    with Live(console=stderr_console(), transient=True, refresh_per_second=4) as live:
        yield _Board(live)


def _headline(tally: "Tally") -> str:
    parts = [f"{tally.done + tally.kept} of {tally.total} pictures"]
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    if tally.per_minute is not None and tally.eta_seconds is not None:
        parts.append(f"{tally.per_minute:.3g} a minute")
        parts.append(f"{format_about(tally.eta_seconds)} left")
    return ", ".join(parts)


def _remark(event: "Event") -> tuple[str, str | None] | None:
    """What is worth a line that stays, and its colour."""
    if event.kind == "failed":
        return f"Failed: {event.name}: {event.message}", "red"
    if event.kind == "left":
        return f"Left alone: {event.name}: {event.message}", "yellow"
    if event.kind == "retry":
        return f"Again: {event.name}: {event.message}", "yellow"
    if event.kind == "planned":
        return _planned(event.tally), None
    return None


def _planned(tally: "Tally") -> str:
    kept = f", {tally.kept} of them done before" if tally.kept else ""
    others = sum(tally.left_alone.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.left_alone.items()))
    left = f" Left alone: {reasons}." if others else ""
    return f"{tally.total} pictures{kept}; {tally.waiting} to do.{left}"


class _Lines:
    """For logs and pipes."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, event: "Event") -> None:
        if (remark := _remark(event)) is not None:
            say(remark[0], style=remark[1])
        elif time.monotonic() - self._told >= _LINE_SECONDS:
            self._told = time.monotonic()
            say(_headline(event.tally))


class _Board:
    """For a terminal: how far everything is, and what is being worked on."""

    def __init__(self, live: Live) -> None:
        self._live, self._rows = live, dict[str, tuple[str, str]]()

    def __call__(self, event: "Event") -> None:
        if (remark := _remark(event)) is not None:
            self._live.console.print(remark[0], style=remark[1])
        if event.progress is not None:
            at = event.progress
            count = f"{at.index}/{at.total}" if at.total else ""
            left = "" if at.eta_seconds is None else f"{format_about(at.eta_seconds)} left"
            self._rows[event.name] = f"{at.stage} {count}".strip(), left
        elif event.kind in {"done", "failed", "retry"}:
            self._rows.pop(event.name, None)
        self._live.update(self._picture(event.tally))

    def _picture(self, tally: "Tally") -> Group:
        reached = tally.total - tally.waiting
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, (stage, left) in self._rows.items():
            table.add_row(Text(name, overflow="ellipsis", no_wrap=True), Text(stage), Text(left))
        bar = ProgressBar(total=max(1, tally.total), completed=reached, width=40)
        return Group(Text(_headline(tally)), bar, table)


def show_summary(
    tally: "Tally",
    failures: Sequence[tuple[str, Failure]],
    stopped: Failure | None,
    models: Sequence[str],
    *,
    dry_run: bool,
) -> None:
    """How the run ended: the tally, every failure with its reason, and what to do next."""
    for name, failure in failures[:_LISTED]:
        say(f"Without a result: {name}: {failure.message}", style="red")
    if len(failures) > _LISTED:
        say(f"... and {len(failures) - _LISTED} more; --json lists all of them.")
    if dry_run:
        say("Nothing was written (dry run).")
        return
    new = f"{tally.done} cloaked" + (f" in {format_seconds(tally.seconds)}" if tally.done else "")
    say(f"{new}, {tally.kept} kept from before, {tally.failed} without a result, {tally.waiting} not reached.")
    if stopped is not None:
        say(f"Stopped: {stopped.message} The same command goes on from here.", style="red")
    elif failures:
        say("Pictures without a result are tried again with --retry-failed, or when they or the settings change.")
    if not tally.total:
        say("There is no picture in it.")
    if tally.done:
        say(models_note(models, explain=True))
