"""`cloak models pull` and `remove`: says what a model weighs and what its licence asks before anything is fetched."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from cloak.cli import engine
from cloak.cli.console import say
from cloak.cli.failures import PARTLY_DONE, explain, show_details
from cloak.cli.interrupt import received
from cloak.cli.outcome import SCHEMA_VERSION, print_json
from cloak.cli.progress import show_steps
from cloak.cli.quantities import format_bytes
from cloak.errors import CloakError, UsageError

__all__ = ["pull_models", "remove_models"]

JsonFlag = Annotated[bool, Parameter(name="--json", negative="")]
ConsentFlag = Annotated[bool, Parameter(name=["--accept-licence", "--yes", "-y"], negative="")]


def pull_models(*names: str, accept_licence: ConsentFlag = False, as_json: JsonFlag = False) -> int:
    """Bring models to this machine: a pinned revision, safetensors only, compared with their sha256.

    An interrupted pull goes on where it stopped. A model that is here already is compared with its record and fetched
    anew only where it is damaged; nothing else is asked of the network. HF_HOME, HF_ENDPOINT, HF_TOKEN and
    HF_HUB_OFFLINE are honoured.

    Args:
        names: Names of models or groups (recommended, full), see `cloak models list`.
        accept_licence: You have read the licences of these models and agree to them; without it you are asked where a
            licence restricts what you may do.
        as_json: Print one JSON object per model.
    """
    chosen = _chosen(names)
    models = {model["name"]: model for model in engine.known_models()}
    return _for_each(chosen, lambda name: _pull(models[name], accept_licence), as_json=as_json)


def remove_models(*names: str, as_json: JsonFlag = False) -> int:
    """Delete models from this machine, with what an interrupted pull of them left.

    Args:
        names: Names of models or groups.
        as_json: Print one JSON object per model.
    """
    return _for_each(_chosen(names), _remove, as_json=as_json)


def _chosen(names: Sequence[str]) -> list[str]:
    if not names:
        raise UsageError("Give at least one model or group (recommended, full); see `cloak models list`.")
    return engine.expand_models(names)


def _for_each(names: Sequence[str], act: Callable[[str], dict[str, Any]], *, as_json: bool) -> int:
    """Act on each model and report it; one that fails does not stop the others."""
    rows = [_report(_attempt(name, act), as_json=as_json) for name in names]
    codes = [int(row["exit_code"]) for row in rows if not row["ok"]]
    if len(codes) < len(rows):
        return PARTLY_DONE if codes else 0
    return codes[0] if len(set(codes)) == 1 else 1


def _attempt(name: str, act: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "error": None, "exit_code": 0, **act(name)}
    except (CloakError, OSError) as error:
        if received():  # a library turned Ctrl-C into an error of its own
            raise KeyboardInterrupt from error
        show_details(error)
        failure = explain(error)
        return {
            "name": name,
            "ok": False,
            "status": "failed",
            "error": failure.message,
            "exit_code": failure.exit_code,
        }


def _report(row: dict[str, Any], *, as_json: bool) -> dict[str, Any]:
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, **row})
    elif row["ok"]:
        print(f"{row['name']}: {row['status']} ({row['detail']})")
    else:
        say(f"{row['name']}: {row['error']}", style="red")
    return row


def _pull(model: dict[str, Any], accept_licence: bool) -> dict[str, Any]:
    name = model["name"]
    if model["consent"] and not (model["state"] == "present" and model["complete"]):
        _ask_consent(model, accept_licence)
    plan = engine.plan_pull(name)
    if plan is None:
        return {"status": "already here", "bytes": 0, "detail": str(engine.model_path(name))}
    size = format_bytes(plan.size_bytes)
    say(f"{name}: {size} from {plan.entry.hub_id} at {plan.revision[:12]}, licence {plan.entry.licence}.")
    with show_steps(name) as show:
        for step in engine.pull(plan):
            show(step)
    found = {"status": "pulled", "bytes": plan.size_bytes, "detail": f"{size}, {engine.model_path(name)}"}
    return {**found, "hub_id": plan.entry.hub_id, "revision": plan.revision, "licence": plan.entry.licence}


def _remove(name: str) -> dict[str, Any]:
    freed = engine.remove_model(name)
    return {"status": "removed", "bytes": freed, "detail": f"{format_bytes(freed)} freed"}


def _ask_consent(model: dict[str, Any], accepted: bool) -> None:
    """Raise UsageError unless somebody agrees to a licence that restricts what may be done with the model."""
    about = f"It is about {format_bytes(model['bytes'])}, and its licence, {model['licence']}, restricts its use"
    where = f"read it on the page of {model['hub_id']} on the hub"
    if accepted:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{about}; {where}, and agree with --accept-licence.")
    say(f"{model['name']}: {about}; {where}.")
    say("Do you agree to it? [y/N] ")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError(f"Without consent to {model['licence']}, {model['name']!r} was not pulled.")
