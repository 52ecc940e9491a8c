"""`cloak methods`: the recipes there are."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.table import Table

from cloak.cli import engine
from cloak.cli.console import show_table
from cloak.cli.outcome import SCHEMA_VERSION, print_json

if TYPE_CHECKING:  # torch takes a second to import
    from cloak.methods import Published

__all__ = ["methods_app"]

methods_app = App(name="methods", help="The recipes that `protect --method` knows.")


@methods_app.command(name="list")
def list_methods(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Every recipe with its reference, licence and needs.

    Args:
        as_json: Print one JSON object per recipe.
    """
    heads = ["name", "summary", "parts", "published at", "reference", "licence", "needs"]
    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for entry in engine.methods():
        needs = [*sorted(entry.requires), *([f"extra {entry.extra}"] if entry.extra else [])]
        published = entry.value.published
        row = {
            "name": entry.name,
            "summary": entry.summary,
            "reference": entry.reference,
            "licence": entry.licence,
            "requires": sorted(entry.requires),
            "extra": entry.extra or None,
            "needs_target": entry.value.needs_target,
            "published": asdict(published) if published else None,
        }
        if as_json:
            print_json({"schema_version": SCHEMA_VERSION, **row})
        parts = published.parts if published else ""
        cells = [entry.name, entry.summary, parts, _numbers(published), entry.reference, entry.licence]
        table.add_row(*cells, ", ".join(needs))
    if not as_json:
        show_table(table)
    return 0


def _numbers(published: "Published | None") -> str:
    """The paper's bound and steps, on a scale of 0 to 255."""
    if published is None:
        return ""
    note = f" ({published.note})" if published.note else ""
    return f"{published.linf:g}/255, {published.steps} steps{note}"
