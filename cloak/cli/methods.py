"""`cloak methods`: the recipes there are."""

from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from cloak.cli import engine
from cloak.cli.console import show_table
from cloak.cli.outcome import SCHEMA_VERSION, print_json

__all__ = ["methods_app"]

methods_app = App(name="methods", help="The recipes that `protect --method` knows.")


@methods_app.command(name="list")
def list_methods(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Every recipe with its reference, licence and needs.

    Args:
        as_json: Print one JSON object per recipe.
    """
    table = Table("name", "summary", "reference", "licence", "needs", box=None, pad_edge=False, header_style="bold")
    for entry in engine.methods():
        needs = [*sorted(entry.requires), *([f"extra {entry.extra}"] if entry.extra else [])]
        row = {
            "name": entry.name,
            "summary": entry.summary,
            "reference": entry.reference,
            "licence": entry.licence,
            "requires": sorted(entry.requires),
            "extra": entry.extra or None,
        }
        if as_json:
            print_json({"schema_version": SCHEMA_VERSION, **row})
        table.add_row(entry.name, entry.summary, entry.reference, entry.licence, ", ".join(needs))
    if not as_json:
        show_table(table)
    return 0
