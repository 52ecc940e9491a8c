"""The tab "Protect": drop a picture, see what each strength looks like, protect it, see what was done."""

from collections.abc import Callable
from typing import Any

import gradio
from gradio.events import Dependency

from cloak_ui.forms import effort_widget, field_widget, strength_widget
from cloak_ui.jobs import Desk
from cloak_ui.protect_callbacks import ADVANCED, SETTINGS, ProtectCallbacks
from cloak_ui.watching import QUIET, WATCHED

__all__ = ["build_protect_tab"]

_READABLE = [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif", ".bmp"]
Components = dict[str, Any]


def build_protect_tab(greeted: Dependency, desk: Desk, memory: gradio.BrowserState, strings: gradio.I18n) -> Components:
    """Lay the tab out and connect it."""
    with gradio.Row(equal_height=False):
        with gradio.Column(scale=4, min_width=320):
            form = _build_form(strings)
        with gradio.Column(scale=5, min_width=320):
            shown = _build_progress(strings) | _build_results(strings)
    calls = ProtectCallbacks(desk, form | shown)
    settings = [form[name] for name in SETTINGS]
    watching: dict[str, Any] = {"fn": calls.watch, "inputs": [memory], "outputs": [*shown.values()], **WATCHED}
    looks = [form[name] for name in ("facts", "parts", *calls.parts)]

    greeted.then(calls.first_estimate, None, [form["time"]], **QUIET)
    greeted.then(**watching)
    form["picture"].change(calls.look, [memory, form["picture"]], [*looks, shown["message"]], **QUIET).then(
        calls.estimate, [form["effort"], form["facts"]], [form["time"]], **QUIET
    )
    form["effort"].change(calls.estimate, [form["effort"], form["facts"]], [form["time"]], **QUIET)
    form["start"].click(calls.start, [memory, form["picture"], *settings], [memory, shown["message"]], **QUIET).then(
        **watching
    )
    shown["keep"].click(calls.errand.keep, [memory], None, **QUIET)
    shown["cancel"].click(calls.errand.cancel, [memory], None, **QUIET)
    return form | shown


def _build_form(strings: gradio.I18n) -> Components:
    form: Components = {
        "picture": gradio.File(label=strings("picture"), file_types=_READABLE, height=170, elem_id="picture"),
        "facts": gradio.JSON(visible=False),
        "facts_line": gradio.Markdown(elem_id="facts"),
    }
    with gradio.Group(visible=False) as form["parts"]:
        gradio.Markdown(strings("parts_intro"), padding=True)
        for names in (("original", "subtle"), ("balanced", "strong")):
            with gradio.Row(elem_classes="parts"):
                for name in names:
                    form[f"part_{name}"] = _still(strings(f"part_{name}"), min_width=150)
    form["strength"], form["effort"] = strength_widget(strings), effort_widget(strings)
    form["time"] = gradio.Markdown(elem_id="time")
    with gradio.Accordion(strings("advanced"), open=False):
        for name in ADVANCED:
            form[name] = field_widget(name, strings)
    form["start"] = gradio.Button(strings("start"), variant="primary", elem_id="start")
    return form


def _build_progress(strings: gradio.I18n) -> Components:
    shown: Components = {
        "message": gradio.HTML(elem_id="message", elem_classes="message"),
        "hint": gradio.Markdown(strings("hint"), elem_id="hint"),
    }
    with gradio.Column(visible=False) as shown["running"]:
        shown["progress"] = gradio.HTML(elem_id="progress")
        with gradio.Row():
            shown["keep"] = gradio.Button(strings("keep"), elem_id="keep")
            shown["cancel"] = gradio.Button(strings("cancel"), variant="stop", elem_id="cancel")
        shown["now"] = _still(strings("now"), height=360)
    return shown


def _build_results(strings: gradio.I18n) -> Components:
    shown: Components = {}
    say: Callable[[str], Any] = strings  # gradio's hints forget that these may be translated in the browser
    with gradio.Column(visible=False, elem_id="results") as shown["results"]:
        shown["compare"] = gradio.ImageSlider(
            label=say("compare"), interactive=False, buttons=["fullscreen"], elem_id="compare", max_height=560
        )
        gradio.Markdown(strings("compare_hint"))
        with gradio.Row():
            shown["file"] = gradio.DownloadButton(say("download"), variant="primary", elem_id="download")
            shown["proof"] = gradio.DownloadButton(say("download_certificate"), elem_id="download-certificate")
        shown["certificate"] = gradio.Markdown(elem_id="certificate")
        with gradio.Group() as shown["seen"]:
            shown["seen_text"] = gradio.Markdown(padding=True)
            with gradio.Row():
                shown["seen_original"] = _still(strings("seen_original"))
                shown["seen_cloaked"] = _still(strings("seen_cloaked"))
        with gradio.Row():
            shown["difference"] = _still(strings("difference"))
            shown["change_map"] = _still(strings("change_map"))
        shown["command"] = gradio.Textbox(
            label=strings("command"), lines=2, interactive=False, buttons=["copy"], elem_id="command"
        )
    return shown


def _still(label: Any, **options: Any) -> gradio.Image:
    return gradio.Image(label=label, interactive=False, buttons=["fullscreen"], format="png", **options)
