"""`cloak models`: which models there are, and whether they lie on this machine unharmed."""

from typing import Any

from cyclopts import App
from rich.table import Table

from cloak.cli import engine
from cloak.cli.console import say, show_table
from cloak.cli.failures import PARTLY_DONE
from cloak.cli.outcome import SCHEMA_VERSION, print_json
from cloak.cli.pulling import JsonFlag, pull_models, remove_models
from cloak.cli.quantities import format_bytes
from cloak.errors import CloakError, UsageError

__all__ = ["models_app"]

_UNRECORDED = "complete, but no sha256 is on record to compare with"
_NOTE = (
    "Groups: recommended (tiny autoencoders of the real families: real latents at a tenth of the cost) and full. "
    "Bring one with: cloak models pull recommended"
)

models_app = App(name="models", help="The models that cloaks act on: which there are, where they lie, pull, remove.")
models_app.command(pull_models, name="pull")
models_app.command(remove_models, name="remove")


@models_app.command(name="list")
def list_models(*, as_json: JsonFlag = False) -> int:
    """Every model that is known: whether it is here, its size and licence, and what it covers.

    Args:
        as_json: Print one JSON object per model.
    """
    columns = ("name", "state", "size", "licence", "covers", "group", "summary")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for model in engine.known_models():
        if as_json:
            print_json({"schema_version": SCHEMA_VERSION, **model})
        else:
            table.add_row(*_cells(model))
    if not as_json:
        show_table(table)
        say(_NOTE)
    return 0


def _cells(model: dict[str, Any]) -> list[str]:
    in_part = model["state"] == "present" and not model["complete"]
    return [
        model["name"],
        "present in part" if in_part else model["state"],
        format_bytes(model["bytes"]) if model["bytes"] else "",
        model["licence"] + (" (consent)" if model["consent"] else ""),
        f"{model['family']}: {', '.join(model['capabilities'])}",
        ", ".join(model["groups"]),
        model["summary"],
    ]


@models_app.command(name="path")
def print_path(name: str) -> int:
    """Print where a model lies.

    Args:
        name: Name of the model, see `cloak models list`.
    """
    print(engine.model_path(name))
    return 0


@models_app.command(name="verify")
def verify(*names: str, as_json: JsonFlag = False) -> int:
    """Compare the files of models with the sha256 that is pinned or was recorded when they were pulled.

    Args:
        names: Names of models or groups; all models that are here without it.
        as_json: Print one JSON object per model.
    """
    present = [model["name"] for model in engine.known_models() if model["state"] != "absent"]
    rows = [_verify(each) for each in (engine.expand_models(names) if names else present)]
    for row in rows:
        if as_json:
            print_json({"schema_version": SCHEMA_VERSION, **row})
        elif row["error"]:
            say(f"{row['name']}: {row['error']}", style="red")
        else:
            compared = f"{row['compared']} files are as recorded" if row["compared"] else _UNRECORDED
            print(f"{row['name']}: {compared}")
    codes = [int(row["exit_code"]) for row in rows if row["error"]]
    if len(codes) < len(rows):
        return PARTLY_DONE if codes else 0
    return max(codes, default=0)


def _verify(name: str) -> dict[str, Any]:
    try:
        compared = engine.verify_model(name)
    except UsageError:
        raise
    except CloakError as error:
        return {"name": name, "ok": False, "compared": 0, "error": str(error), "exit_code": error.exit_code}
    return {"name": name, "ok": True, "compared": len(compared), "error": None, "exit_code": 0}
