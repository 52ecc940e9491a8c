"""`cloak eval`: run experiments, list them, and report what came out."""

import contextlib
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from cyclopts import App, Parameter
from rich.table import Table

from cloak.cli import engine
from cloak.cli.console import say, show_table
from cloak.cli.failures import PARTLY_DONE
from cloak.cli.outcome import SCHEMA_VERSION, print_json

__all__ = ["eval_app"]

eval_app = App(name="eval", help="Fine-tune mimics on clean and cloaked pictures and measure what is left.")

_Json = Annotated[bool, Parameter(name="--json", negative="")]


@eval_app.command(name="run")
def run_experiment(
    experiment: Path,
    /,
    *,
    art: Annotated[list[Path], Parameter(consume_multiple=True)],
    results: Path = Path("eval/results"),
    work: Path | None = None,
    workers: int = 2,
    engine_name: Annotated[Literal["local", "ray"], Parameter(name="--engine")] = "local",
    as_json: _Json = False,
) -> int:
    """Run what is missing of an experiment; run it again to go on where it stopped.

    Args:
        experiment: TOML file with the matrix.
        art: Folders that hold one folder of pictures per artist.
        results: Where result files go, one folder per experiment.
        work: Where shared intermediate pictures are kept; may be deleted at any time.
        workers: Cells at once, each on one core.
        engine_name: Processes on this machine, or a Ray cluster.
        as_json: Print one JSON object per cell.
    """
    evaluation = engine.evaluation()
    matrix = evaluation.read_experiment(experiment)
    kept = work or platformdirs.user_cache_path("artcloak") / "eval"
    options = {"art": art, "results": results, "work": kept, "workers": workers, "engine": engine_name}
    status: list[str] = []
    with contextlib.closing(evaluation.run_experiment(matrix, **options)) as events:
        for event in events:
            status.append(event.status)
            reason = f" ({event.error})" if event.error else ""
            say(f"[{event.index}/{event.total}] {event.cell.name}: {event.status}{reason}")
            if as_json:
                row = {"cell": event.cell.model_dump(), "status": event.status, "error": event.error}
                print_json({"schema_version": SCHEMA_VERSION, **row})
    failed = status.count("failed")
    return 0 if not failed else 1 if failed == len(status) else PARTLY_DONE


@eval_app.command(name="list")
def list_parts(*, as_json: _Json = False) -> int:
    """Mimics, countermeasures and metrics that experiments can name.

    Args:
        as_json: Print one JSON object per part.
    """
    table = Table("kind", "name", "summary", "reference", "better", box=None, pad_edge=False, header_style="bold")
    for kind, registry in engine.evaluation_parts().items():
        for entry in registry:
            better = {None: "", True: "higher", False: "lower"}[entry.higher_is_better]
            row = {"kind": kind, "name": entry.name, "summary": entry.summary, "reference": entry.reference}
            if as_json:
                print_json({"schema_version": SCHEMA_VERSION, **row, "higher_is_better": entry.higher_is_better})
            table.add_row(*row.values(), better)
    if not as_json:
        show_table(table)
    return 0


@eval_app.command(name="report")
def report(
    *results: Path, out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("report"), as_json: _Json = False
) -> int:
    """Write one page without links to anything, and the same figures in Markdown.

    Args:
        results: Result files, or folders of them.
        out: Name of the two files without suffix; .html and .md are added.
        as_json: Print where they are.
    """
    page, text = engine.write_report(list(results), out)
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "html": str(page), "markdown": str(text)})
    else:
        say(f"Written: {page} and {text}")
    return 0
