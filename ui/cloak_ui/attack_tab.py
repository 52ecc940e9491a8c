"""The tab "Attack it": process a cloaked picture as an attacker may, and see what of the cloak is left."""

import html
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import gradio

from cloak_ui.attacking import known_attacks
from cloak_ui.errands import Errand
from cloak_ui.extras import eval_missing
from cloak_ui.jobs import Desk, Job, safe_name
from cloak_ui.languages import Words
from cloak_ui.tasks import AttackTask
from cloak_ui.watching import QUIET, WATCHED, Memory, alert, changes, hidden, shown, words_for
from cloak_ui.wording import failure_text, progress_html

__all__ = ["build_attack_tab"]

_AT_FIRST = ("jpeg-75", "half-size", "blur", "noise-0.05", "crop-resize", "autoencoder", "colour-correction")
Updates = dict[Any, Any]


def build_attack_tab(desk: Desk, memory: gradio.BrowserState, strings: gradio.I18n) -> dict[str, Any]:
    """Lay the tab out and connect it."""
    widgets: dict[str, Any] = {}
    gradio.Markdown(strings("attack_intro"))
    with gradio.Row():
        for name in ("original", "cloaked"):
            widgets[name] = gradio.File(label=strings(f"attack_{name}"), height=140, elem_id=f"attack-{name}")
    take = gradio.Button(strings("attack_take"), elem_id="attack-take")
    chosen = _build_choices(strings)
    start = gradio.Button(strings("attack_start"), variant="primary", elem_id="attack-start")
    widgets["message"] = gradio.HTML(elem_id="attack-message", elem_classes="message")
    with gradio.Column(visible=False) as widgets["running"]:
        widgets["progress"] = gradio.HTML()
        cancel = gradio.Button(strings("cancel"), variant="stop")
    widgets["bars"] = gradio.HTML(elem_id="attack-bars")
    widgets["pictures"] = gradio.Gallery(
        label=strings("attack_pictures"),
        columns=3,
        height="auto",
        visible=False,
        interactive=False,
        buttons=["fullscreen"],
        elem_classes="side-by-side",
    )
    calls = _AttackCallbacks(desk, widgets)
    take.click(calls.take, [memory], [widgets["original"], widgets["cloaked"], widgets["message"]], **QUIET)
    inputs = [memory, widgets["original"], widgets["cloaked"], *chosen]
    outputs = [widgets[name] for name in ("message", "running", "progress", "bars", "pictures")]
    watching: dict[str, Any] = {"fn": calls.watch, "inputs": [memory], "outputs": outputs, **WATCHED}
    start.click(calls.start, inputs, [memory, widgets["message"]], **QUIET).then(**watching)
    cancel.click(calls.errand.cancel, [memory], None, **QUIET)
    return widgets


def _build_choices(strings: gradio.I18n) -> list[gradio.CheckboxGroup]:
    """What can be tried, the quick and the slow ones."""
    known, names = known_attacks(), strings.translations["en"]
    groups = [(str(strings(key)) if (key := attack_key(name)) in names else name, name) for name in known]
    quick, slow = ([choice for choice in groups if known[choice[1]] == kind] for kind in (False, True))
    chosen = [name for name in known if name in _AT_FIRST or eval_missing()]
    boxes = [gradio.CheckboxGroup(quick, value=chosen, label=strings("attack_choice"), elem_id="attacks")]
    if slow:
        texts: dict[str, Any] = {"label": strings("attack_slow"), "info": strings("attack_slow_info")}
        return [*boxes, gradio.CheckboxGroup(slow, elem_id="attacks-slow", **texts)]
    gradio.Markdown(strings("attack_more"))
    return boxes


def attack_key(name: str) -> str:
    """The string that names an attack."""
    return "attack_name_" + re.sub(r"[^a-z0-9]+", "_", name.lower())


class _AttackCallbacks:
    def __init__(self, desk: Desk, widgets: dict[str, Any]) -> None:
        self.errand, self._widgets = Errand(desk, "attack"), widgets
        self._protected = Errand(desk, "job")  # of the tab "Protect"

    def take(self, memory: Memory, request: gradio.Request) -> tuple[str | None, str | None, str]:
        """The pair that was made last on the tab "Protect"."""
        job = self._protected.find(memory)
        if job is None or job.state != "done":
            return None, None, alert(words_for(request)("attack_nothing"))
        return str(job.task.source), str(job.files["picture"]), ""

    def start(
        self, request: gradio.Request, memory: Memory, original: str | None, cloaked: str | None, *chosen: Sequence[str]
    ) -> tuple[Memory, str]:
        """Take the job on."""
        say, attacks = words_for(request), [name for group in chosen for name in group]
        if original is None or cloaked is None or not attacks:
            return self.errand.refuse(memory, say("attack_missing"))

        def task(copy: Path) -> AttackTask:
            beside = copy.with_name(f"original {safe_name(Path(original).name)}")
            shutil.copyfile(original, beside)
            return AttackTask(copy, beside, tuple(attacks))

        return self.errand.submit(memory, Path(cloaked), task, say)

    async def watch(self, memory: Memory, request: gradio.Request) -> AsyncIterator[Updates]:
        """Show what is left, attack by attack."""
        say, widgets, job = words_for(request), self._widgets, self.errand.find(memory)
        if job is None:
            yield {widgets["running"]: hidden()}
            return
        calm = {} if job.over else {widgets["message"]: ""}
        yield {widgets["running"]: shown(), widgets["bars"]: "", widgets["pictures"]: hidden()}
        async for _ in changes(job, waiting=True):
            progress = progress_html(job, self.errand.place(job), say)
            yield {widgets["progress"]: progress, widgets["bars"]: _bars(job, say)}
        if job.state == "done":
            pictures = gradio.update(value=_gallery(job, say), visible=True)
            yield {widgets["running"]: hidden(), **calm, widgets["pictures"]: pictures}
        else:
            yield {widgets["running"]: hidden(), widgets["message"]: alert(failure_text(job, say))}


def _bars(job: Job, say: Words) -> str:
    """A table with a bar for the cloak and the figure of noise, each as a share of what the untouched cloak does."""
    if not job.figures:
        return ""
    names = [key.removeprefix("cloak/") for key in job.figures if key.startswith("cloak/")]
    rows = "".join(_bar_row(name, job.figures, say) for name in names)
    heads = "".join(
        f'<th scope="col">{html.escape(say(key))}</th>' for key in ("attack_after", "attack_left", "effect_noise")
    )
    text = html.escape(say("attack_bars", model=job.facts["model"]))
    return f'<p>{text}</p><table class="plain"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _bar_row(name: str, figures: dict[str, float], say: Words) -> str:
    left, noise = (100 * figures[f"{kind}/{name}"] for kind in ("cloak", "noise"))
    label = html.escape(_label(name, say))
    bar = f'<progress max="100" value="{min(left, 100):.0f}" aria-label="{label}"></progress>'
    of_cloak, of_noise = (html.escape(say(key)) for key in ("attack_left", "effect_noise"))
    cells = f'<td data-head="{of_cloak}">{bar} {left:.0f} %</td><td data-head="{of_noise}">{noise:.0f} %</td>'
    return f'<tr><th scope="row">{label}</th>{cells}</tr>'


def _label(name: str, say: Words) -> str:
    return say.get(attack_key(name), name) if name else say("attack_untouched")


def _gallery(job: Job, say: Words) -> list[tuple[str, str]]:
    """For each attack: the attacked cloak, what a model sees of it, and what it sees of the original treated alike."""
    return [
        (str(path), f"{_label(name, say)}: {say(f'attack_view_{kind}')}")
        for key, path in job.pictures.items()
        for kind, _, name in [key.partition("/")]
    ]
