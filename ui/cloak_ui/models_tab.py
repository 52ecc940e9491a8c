"""The tab "Models": what is here, what it covers, size and licence; fetch and remove."""

import html
from collections.abc import Iterator
from typing import Any

import gradio

from cloak.cli import engine
from cloak.cli.failures import explain, show_details
from cloak.cli.quantities import format_bytes
from cloak.errors import UsageError
from cloak_ui.languages import Words
from cloak_ui.watching import QUIET, alert, words_for
from cloak_ui.wording import table_cells

__all__ = ["build_models_tab"]

_GROUP = "recommended"
Progress = tuple[Any, str]


def build_models_tab(app: gradio.Blocks, strings: gradio.I18n, *, changeable: bool) -> dict[str, Any]:
    """Lay the tab out and connect it; models can be fetched and removed only where it is `changeable`."""
    gradio.Markdown(strings("models_intro"))
    table = gradio.HTML(elem_id="models-table")
    app.load(_table, None, [table], **QUIET)
    if not changeable:
        return {"table": table}
    with gradio.Row():
        name = gradio.Dropdown(_fetchable(), label=strings("models_choice"), elem_id="models-choice", min_width=280)
        agreed = gradio.Checkbox(label=strings("models_agree"), info=strings("models_agree_info"), min_width=280)
    with gradio.Row():
        fetch = gradio.Button(strings("models_pull"), variant="primary")
        remove = gradio.Button(strings("models_remove"))
    news = gradio.HTML(elem_id="models-news")
    fetch.click(_pull, [name, agreed], [table, news], concurrency_limit=1, concurrency_id="models", **QUIET)
    remove.click(_remove, [name], [table, news], concurrency_limit=1, concurrency_id="models", **QUIET)
    return {"table": table, "name": name, "fetch": fetch, "remove": remove, "news": news}


def _fetchable() -> list[tuple[str, str]]:
    rows = [row for row in engine.known_models() if row["state"] != "embedded" and row["hub_id"]]
    sizes = {row["name"]: row["bytes"] for row in rows}
    sizes = {_GROUP: sum(sizes[name] for name in engine.expand_models([_GROUP]))} | sizes
    return [(f"{name} ({format_bytes(size)})" if size else name, name) for name, size in sizes.items()]


def _table(request: gradio.Request) -> str:
    return _table_html(words_for(request))


def _table_html(say: Words) -> str:
    heads = [say(f"models_{name}") for name in ("name", "state", "size", "licence", "covers")]
    rows = "".join(_row(row, say) for row in engine.known_models())
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in heads)
    return (
        f'<div class="scrolling" tabindex="0" role="region" aria-label="{html.escape(say("tab_models"))}">'
        f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(model: dict[str, Any], say: Words) -> str:
    state = "part" if model["state"] == "present" and not model["complete"] else model["state"]
    licence = model["licence"] + (f" ({say('models_restricted')})" if model["consent"] else "")
    size = format_bytes(model["bytes"]) if model["bytes"] else ""
    cells = [say(f"models_{state}"), size, licence, f"{model['family']}: {model['summary']}"]
    body = table_cells([say(f"models_{name}") for name in ("state", "size", "licence", "covers")], cells)
    return f'<tr class="{html.escape(state)}"><th scope="row">{html.escape(model["name"])}</th>{body}</tr>'


def _pull(chosen: str | None, agreed: bool, request: gradio.Request) -> Iterator[Progress]:
    say = words_for(request)
    if chosen is None:
        yield gradio.skip(), alert(say("models_none_chosen"))
        return
    try:
        for name in engine.expand_models([chosen]):
            yield from _fetch(name, agreed, say)
    except Exception as error:
        show_details(error)
        yield _table_html(say), alert(say("failure", message=explain(error).message))
        return
    yield _table_html(say), f'<p role="status">{html.escape(say("models_fetched", name=chosen))}</p>'


def _fetch(name: str, agreed: bool, say: Words) -> Iterator[Progress]:
    """Fetch one model; raises UsageError where its licence needs consent first."""
    model = next(row for row in engine.known_models() if row["name"] == name)
    if model["consent"] and not agreed:
        raise UsageError(say("models_consent", licence=model["licence"], hub=model["hub_id"]))
    plan = engine.plan_pull(name)
    for step in engine.pull(plan) if plan is not None else ():
        yield gradio.skip(), _bar(name, step.index, step.total, say)


def _bar(name: str, done: int, total: int, say: Words) -> str:
    """Progress of a fetch, in megabytes."""
    text = html.escape(say("models_pulling", name=name, done=done, total=total))
    value = f' value="{done / total:.3f}"' if total else ""
    return f'<p role="status">{text}</p><progress max="1"{value} aria-label="{text}"></progress>'


def _remove(chosen: str | None, request: gradio.Request) -> Progress:
    say = words_for(request)
    if chosen is None:
        return gradio.skip(), alert(say("models_none_chosen"))
    try:
        freed = sum(engine.remove_model(name) for name in engine.expand_models([chosen]))
    except Exception as error:
        show_details(error)
        return _table_html(say), alert(say("failure", message=explain(error).message))
    text = say("models_removed", name=chosen, size=format_bytes(freed))
    return _table_html(say), f'<p role="status">{html.escape(text)}</p>'
