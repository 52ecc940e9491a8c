"""Runs what is missing of a matrix, in this process, in several, or on Ray; can be killed at any time.

A finished cell is a file. Each cell is run under a lock of its own and looked for once more inside it, so that two
runners never do the same work.
"""

import importlib
import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock
from pydantic import ValidationError

from cloak.errors import MissingExtraError, UsageError
from cloak_eval.experiments.cell_run import CellRun, CellStep, cell_key
from cloak_eval.experiments.cells import Cell, CellResult, cells_of
from cloak_eval.experiments.config import Experiment
from cloak_eval.experiments.store import Store
from cloak_eval.processes import one_core_each

__all__ = ["CellEvent", "CellStep", "finished", "run_cell", "run_experiment", "watch_experiment"]


@dataclass(frozen=True, slots=True)
class CellEvent:
    """One cell was dealt with.

    Args:
        cell: which.
        status: done now, done earlier, or failed.
        index: cells dealt with so far.
        total: cells of the matrix.
        error: why it failed.
    """

    cell: Cell
    status: Literal["done", "skipped", "failed"]
    index: int
    total: int
    error: str | None = None


def finished(path: Path, key: str) -> bool:
    """Whether a cell with this key has been done."""
    try:
        result = CellResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return False
    return result.status == "done" and result.key == key


def run_cell(experiment: Experiment, cell: Cell, art: list[Path], results: Path, work: Path) -> tuple[str, str | None]:
    """Run a cell unless it has been done; returns its status and error."""
    steps = _cell_steps(experiment, cell, art, results, work)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def _cell_steps(
    experiment: Experiment, cell: Cell, art: list[Path], results: Path, work: Path
) -> Generator[CellStep, None, tuple[str, str | None]]:
    path, key = results / f"{cell.name}.json", cell_key(experiment, cell, art)
    locks = work / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{key}.lock"):
        if finished(path, key):
            return "skipped", None
        result = yield from CellRun(experiment, cell, art=art, results=results, store=Store(work / "shared")).steps(key)
    return result.status, result.error


def run_experiment(
    experiment: Experiment,
    *,
    art: list[Path],
    results: Path,
    work: Path,
    workers: int = 1,
    engine: Literal["local", "ray"] = "local",
) -> Generator[CellEvent, None, None]:
    """Run every cell that is not there yet, as a stream of events; closing it stops.

    Read it within `contextlib.closing`. Processes of a stream that is left open, as when Ctrl-C comes while the reader
    deals with an event, finish every cell before Python ends.

    Args:
        experiment: the matrix.
        art: folders of artists' folders.
        results: where results go; the experiment's own folder is made in it.
        work: where what cells share is kept; can be deleted at any time.
        workers: processes at once, each on one core.
        engine: "ray" sends cells to the Ray cluster that RAY_ADDRESS names, whose machines must see the same folders,
            or else to `workers` Ray processes on this machine.
    """
    cells, arguments = cells_of(experiment), _arguments(experiment, art, results, work)
    if engine == "ray":
        outcomes = _on_ray(arguments, workers)
    elif workers > 1:
        outcomes = _in_processes(arguments, workers)
    else:
        outcomes = ((index, run_cell(*each)) for index, each in enumerate(arguments))
    for count, (index, (status, error)) in enumerate(outcomes, 1):
        yield CellEvent(cells[index], status, count, len(cells), error)  # type: ignore[arg-type]


def watch_experiment(
    experiment: Experiment, *, art: list[Path], results: Path, work: Path
) -> Iterator[CellStep | CellEvent]:
    """The same in this process, with every step within the cells."""
    arguments = _arguments(experiment, art, results, work)
    for count, each in enumerate(arguments, 1):
        status, error = yield from _cell_steps(*each)
        yield CellEvent(each[1], status, count, len(arguments), error)  # type: ignore[arg-type]


def _arguments(experiment: Experiment, art: list[Path], results: Path, work: Path) -> "_Arguments":
    folder = (results / experiment.name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    places = ([path.resolve() for path in art], folder, work.resolve())  # other processes may stand elsewhere
    return [(experiment, cell, *places) for cell in cells_of(experiment)]


_Arguments = list[tuple[Experiment, Cell, list[Path], Path, Path]]
_Outcomes = Iterator[tuple[int, tuple[str, str | None]]]


def _in_processes(arguments: _Arguments, workers: int) -> _Outcomes:
    with one_core_each(workers) as pool:
        waiting = {pool.submit(run_cell, *each): index for index, each in enumerate(arguments)}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def _on_ray(arguments: _Arguments, workers: int) -> _Outcomes:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray", "cluster") from error
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(**_ray_options(workers))
        except Exception as error:  # Ray raises bare ones
            raise UsageError(f"Ray could not be started or joined; use --engine local: {error}") from error
    # One thread of computing for each cell, as in local processes: sums in another order give other last digits.
    remote: Callable[..., object] = ray.remote(num_cpus=1, max_retries=0)(_run_alone).remote
    waiting = {remote(*each): index for index, each in enumerate(arguments)}
    try:
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            yield waiting.pop(ready), ray.get(ready)
    finally:
        for task in waiting:
            ray.cancel(task, force=True)
        if ours:
            ray.shutdown()


def _ray_options(workers: int) -> dict[str, Any]:
    """A cluster that RAY_ADDRESS names is joined as it is; else processes on this machine, open to nobody else."""
    if os.environ.get("RAY_ADDRESS"):
        return {"log_to_driver": False}
    return {
        "address": "local",  # not whatever else runs here
        "log_to_driver": False,
        "num_cpus": workers,
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
    }


def _run_alone(
    experiment: Experiment, cell: Cell, art: list[Path], results: Path, work: Path
) -> tuple[str, str | None]:
    torch.set_num_threads(1)
    return run_cell(experiment, cell, art, results, work)
