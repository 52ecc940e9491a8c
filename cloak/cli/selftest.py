"""`cloak selftest`: what a mimic learns from your own pictures, clean against cloaked."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from cloak.cli import engine
from cloak.cli.console import say
from cloak.cli.outcome import SCHEMA_VERSION, print_json

__all__ = ["selftest"]


def selftest(
    folder: Path,
    /,
    *,
    mimic: Literal["lora", "dreambooth", "textual-inversion"] = "lora",
    report: Path = Path("selftest"),
    others: Path | None = None,
    model: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Fine-tune a mimic on your pictures and another on your cloaked pictures, and compare what they draw.

    Args:
        folder: Your pictures, at least eight.
        mimic: How they are imitated.
        report: Folder for the page and all results; call again with the same one to go on.
        others: Folder of other artists' folders, among which the judge must find you.
        model: Model to fine-tune; the best one on this machine by default.
        as_json: Print the verdict and where the page is.
    """
    test = engine.self_test()
    folder = folder.resolve()
    experiment = test.plan_selftest(folder, mimic=mimic, model=model, others=others)
    say(f"Fine-tuning {experiment.model!r}; this takes a while and can be stopped and continued.")
    report.mkdir(parents=True, exist_ok=True)
    failed = 0
    for event in test.run_selftest(experiment, folder, report, others=others):
        failed += event.status == "failed"
        say(f"[{event.index}/{event.total}] {event.cell.name}: {event.status}{f' ({event.error})' * bool(event.error)}")
    page, words = test.write_page(report), str(test.verdict_of(report))
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "page": str(page), "verdict": words})
    else:
        say(f"{words}\nThe page with the pictures and a blind quiz: {page}")
    return 1 if failed else 0
