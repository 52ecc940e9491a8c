"""`cloak gallery`: cloak a whole portfolio, unattended; the same command again goes on where it stopped."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from cloak.cli import engine
from cloak.cli.failures import PARTLY_DONE, Failure, explain, show_details
from cloak.cli.gallery_display import event_row, finished_row, show_run, show_summary
from cloak.cli.interrupt import received
from cloak.cli.options import ProtectOptions, settings_of
from cloak.cli.outcome import print_json
from cloak.config import ProtectConfig
from cloak.errors import UsageError

if TYPE_CHECKING:
    from cloak.gallery import Engine, Event, Gallery, Run, Tally

__all__ = ["gallery"]

_DEFAULTS = ProtectOptions.model_validate({})
EngineName = Literal["local", "ray"]


def gallery(  # noqa: PLR0913 (each one is an option)
    source: str,
    destination: str,
    *,
    settings: Annotated[ProtectOptions, Parameter(name="*")] = _DEFAULTS,
    engine_name: Annotated[EngineName, Parameter(name="--engine")] = "local",
    workers: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    address: str | None = None,
    watch: Annotated[bool, Parameter(negative="")] = False,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    journal: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Cloak every picture of a folder, archive, list or pattern; it can be stopped or killed at any moment.

    Results are named as those of `cloak protect` and lie in the same folders below DESTINATION. The same command again
    does what is missing: pictures whose original, settings and result are unchanged are kept.

    Examples: `cloak gallery portfolio/ cloaked/`, `cloak gallery comic.cbz out/ --effort fast`,
    `cloak gallery inbox/ cloaked/ --watch`, `cloak gallery "art/**/*.png" s3://bucket/cloaked --engine ray`.

    Args:
        source: Folder, ZIP or CBZ archive, text file with one path a line, or a pattern in quotes.
        destination: Folder, or a URL that fsspec knows (s3://...).
        settings: Everything that decides what the results look like.
        engine_name: local: processes on this machine; ray: a Ray cluster (needs 'artcloak[cluster]').
        workers: How many work at once; by default one for each core or GPU, as far as memory reaches.
        address: Ray cluster to use: auto or host:port; without it, Ray is started on this machine only.
        watch: Go on as pictures appear in the folder, until Ctrl-C.
        retry_failed: Try again what failed before; otherwise only when the picture or the settings have changed.
        overwrite: Replace files that lie where results go and are not from this gallery.
        journal: File that notes what was done; by default in .artcloak below DESTINATION.
        as_json: Print one JSON object per event on standard output, and nothing else there.
        dry_run: Count what would be done; nothing is written but the journal.
    """
    config = settings_of(settings)
    _check(engine_name, address, config, source if watch else None)
    models = engine.model_names(config.models)
    plan: Gallery = engine.galleries().Gallery(
        source,
        destination,
        config=config,
        models=models,
        retry_failed=retry_failed,
        overwrite=overwrite,
        journal=journal,
    )
    start = lambda: _start(engine_name, workers, address, config)  # noqa: E731
    with plan.opened() as run:
        stopped = _tell(_events(plan, run, start, watch=watch, dry_run=dry_run), as_json=as_json)
        failures = list(run.failures())
    if as_json:
        print_json(finished_row(run.tally, failures, stopped))
    show_summary(run.tally, failures, stopped, models, dry_run=dry_run)
    return _exit_code(run.tally, stopped)


def _tell(events: "Iterator[Event]", *, as_json: bool) -> Failure | None:
    """Show every event; what ended them before their time, None when nothing did."""
    try:
        with show_run() as show:
            for event in events:
                show(event)
                if as_json:
                    print_json(event_row(event))
    except (Exception, KeyboardInterrupt) as error:
        show_details(error)
        return explain(KeyboardInterrupt() if received() else error)
    return None


def _check(engine_name: EngineName, address: str | None, config: ProtectConfig, watched: str | None) -> None:
    engine.check_method(config.method)
    if address is not None and engine_name != "ray":
        raise UsageError("--address names a Ray cluster; give --engine ray with it.")
    if watched is not None and not Path(watched).is_dir():
        raise UsageError(f"--watch needs a folder, got {watched}.")


def _start(name: EngineName, workers: int | None, address: str | None, config: ProtectConfig) -> "Engine":
    room = engine.galleries()
    if name == "ray":
        from cloak.gallery.cluster import RayEngine

        return RayEngine(workers=workers, address=address, factory=room.Worker)
    device = engine.device_type(config.device)
    local: Engine = room.LocalEngine(
        workers=workers or room.default_workers(device), device=device, factory=room.Worker
    )
    return local


def _events(
    plan: "Gallery", run: "Run", start: "Callable[[], Engine]", *, watch: bool, dry_run: bool
) -> "Iterator[Event]":
    """Everything that happens, from the first look at the source on."""
    appearing = plan.appearing() if watch and not dry_run else iter([[]])
    next(appearing)  # from here on nothing that appears is missed
    yield from run.plan(plan.find())
    if dry_run or not (run.tally.waiting or watch):
        return
    with contextlib.closing(start()) as workers:
        yield from run.work(workers)
        for found in appearing:
            if found:
                yield from run.plan(found)
                yield from run.work(workers)


def _exit_code(tally: "Tally", stopped: Failure | None) -> int:
    """0 when every picture has its result, 3 when some have, 1 when none has; or why it was stopped."""
    reached = tally.done + tally.kept
    if stopped is not None:
        return stopped.exit_code if stopped.exit_code != 1 or not reached else PARTLY_DONE
    if not tally.failed and not tally.problems:
        return 0 if tally.total else 1
    return PARTLY_DONE if reached else 1
