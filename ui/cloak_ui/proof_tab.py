"""The tab "Prove it": what a mimic of one's own clean and cloaked pictures draws, a blind quiz, and a verdict."""

from typing import Any, get_args

import gradio
from gradio.events import Dependency

from cloak_ui.jobs import Desk
from cloak_ui.proof_callbacks import ARMS, QUESTIONS, QUIZ, ProofCallbacks
from cloak_ui.tasks import Mimic
from cloak_ui.watching import QUIET, WATCHED

__all__ = ["build_proof_tab"]

_INPUTS = ("files", "mimic", "start", "cancel", "answer")

Components = dict[str, Any]


def build_proof_tab(
    greeted: Dependency, desk: Desk, memory: gradio.BrowserState, strings: gradio.I18n, *, unavailable: str = ""
) -> Components:
    """Lay the tab out and connect it; with the string `unavailable` in its stead where nothing can be run."""
    gradio.Markdown(strings("proof_intro"))
    if unavailable:
        return {"unavailable": gradio.Markdown(strings(unavailable), elem_id="proof-unavailable")}
    widgets = _build_form(strings) | _build_progress(strings) | _build_quiz(strings)
    calls = ProofCallbacks(desk, widgets)
    outputs = [widget for name, widget in widgets.items() if name not in _INPUTS]
    watching: Components = {"fn": calls.watch, "inputs": [memory], "outputs": outputs, **WATCHED}
    widgets["start"].click(
        calls.start, [memory, widgets["files"], widgets["mimic"]], [memory, widgets["message"]], **QUIET
    ).then(**watching)
    widgets["cancel"].click(calls.errand.cancel, [memory], None, **QUIET)
    answers = [memory, widgets["given"], *(widgets[name] for name in QUESTIONS)]
    widgets["answer"].click(calls.answer, answers, [widgets[name] for name in QUIZ], **QUIET)
    greeted.then(**watching)
    return widgets


def _build_form(strings: gradio.I18n) -> Components:
    form: Components = {
        "files": gradio.File(
            label=strings("proof_files"),
            file_count="multiple",
            file_types=[".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"],
            height=170,
            elem_id="proof-files",
        ),
        "mimic": gradio.Radio(
            [(str(strings(f"proof_mimic_{name.replace('-', '_')}")), name) for name in get_args(Mimic)],
            value="lora",
            label=strings("proof_mimic"),
            info=strings("proof_mimic_info"),
            elem_id="proof-mimic",
        ),
        "start": gradio.Button(strings("proof_start"), variant="primary", elem_id="proof-start"),
    }
    return form | {"message": gradio.HTML(elem_id="proof-message", elem_classes="message")}


def _build_progress(strings: gradio.I18n) -> Components:
    shown: Components = {}
    with gradio.Column(visible=False) as shown["running"]:
        shown["progress"] = gradio.HTML(elem_id="proof-progress")
        shown["cancel"] = gradio.Button(strings("cancel"), variant="stop", elem_id="proof-cancel")
        gradio.Markdown(strings("proof_now_intro"))
        with gradio.Row():
            for arm in ARMS:
                shown[f"now_{arm}"] = _still(strings(f"proof_now_{arm}"), elem_id=f"proof-now-{arm}")
    return shown


def _build_quiz(strings: gradio.I18n) -> Components:
    shown: Components = {}
    with gradio.Column(visible=False, elem_id="proof-results") as shown["results"]:
        gradio.Markdown(strings("proof_quiz_intro"))
        shown["given"] = gradio.State([])
        with gradio.Column() as shown["open"]:
            shown["quiz_text"] = gradio.HTML(elem_id="proof-quiz-text")
            with gradio.Row():
                for side in "ab":
                    shown[f"picture_{side}"] = _still(strings(f"proof_picture_{side}"), elem_id=f"proof-picture-{side}")
            for name in QUESTIONS:
                shown[name] = gradio.Radio(
                    [(str(strings(f"proof_picture_{side}")), side) for side in "ab"],
                    label=strings(f"proof_{name}"),
                    elem_id=f"proof-{name}",
                )
            shown["answer"] = gradio.Button(strings("proof_answer"), elem_id="proof-answer")
        with gradio.Column(visible=False) as shown["solution"]:
            shown["score"] = gradio.Markdown(elem_id="proof-score")
            shown["all"] = gradio.Gallery(
                label=strings("proof_all"),
                columns=4,
                height="auto",
                interactive=False,
                buttons=["fullscreen"],
                elem_id="proof-all",
                elem_classes="side-by-side",
            )
        shown["verdict"] = gradio.Markdown(elem_id="proof-verdict")
        say: Any = strings  # gradio's hints forget that these may be translated in the browser
        shown["page"] = gradio.DownloadButton(say("proof_page"), elem_id="proof-page")
    return shown


def _still(label: Any, **options: Any) -> gradio.Image:
    return gradio.Image(
        label=label,
        interactive=False,
        buttons=["fullscreen"],
        format="png",
        height=260,
        min_width=260,
        elem_classes="drawing",
        **options,
    )
