"""The tab "Gallery": many pictures, a table that fills as they are done, pause, go on, and everything as one ZIP."""

import asyncio
import html
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import gradio
from gradio.events import Dependency

from cloak.errors import CloakError
from cloak_ui.forms import EFFORTS, config_from, effort_widget, field_widget, strength_widget
from cloak_ui.galleries import Galleries, Gallery, Picture
from cloak_ui.languages import Words
from cloak_ui.watching import QUIET, Memory, alert, hidden, shown, words_for
from cloak_ui.wording import duration, failed_text, left_at_worst, table_cells, visibility_word

__all__ = ["build_gallery_tab"]

_LOOK_SECONDS = 0.5
Updates = dict[Any, Any]


def build_gallery_tab(
    greeted: Dependency, galleries: Galleries, memory: gradio.BrowserState, strings: gradio.I18n
) -> dict[str, Any]:
    """Lay the tab out and connect it."""
    gradio.Markdown(strings("gallery_intro"))
    with gradio.Row():
        files = gradio.File(label=strings("gallery_files"), file_count="multiple", height=170, elem_id="gallery-files")
        folder = gradio.File(
            label=strings("gallery_folder"), file_count="directory", height=170, elem_id="gallery-folder"
        )
    with gradio.Row():
        strength = strength_widget(strings, elem_id="gallery-strength")
        effort = effort_widget(strings, elem_id="gallery-effort")
        form = field_widget("format", strings, prefix="gallery-")
    begin = gradio.Button(strings("gallery_start"), variant="primary", elem_id="gallery-start")
    widgets = _build_results(strings)
    calls = _GalleryCallbacks(galleries, widgets)
    watching: dict[str, Any] = {"fn": calls.watch, "inputs": [memory], "outputs": [*widgets.values()], **QUIET}
    inputs = [memory, files, folder, strength, effort, form]
    begin.click(calls.begin, inputs, [memory, widgets["message"]], **QUIET).then(**watching)
    widgets["pause"].click(calls.pause, [memory], None, **QUIET)
    widgets["resume"].click(calls.resume, [memory], None, **QUIET).then(**watching)
    widgets["pack"].click(calls.pack, [memory], [widgets["archive"]], **QUIET)
    greeted.then(**watching)
    return {"files": files, "begin": begin, **widgets}


def _build_results(strings: gradio.I18n) -> dict[str, Any]:
    widgets: dict[str, Any] = {"message": gradio.HTML(elem_id="gallery-message", elem_classes="message")}
    with gradio.Column(visible=False, elem_id="gallery-results") as widgets["results"]:
        widgets["progress"] = gradio.HTML(elem_id="gallery-progress")
        with gradio.Row():
            widgets["pause"] = gradio.Button(strings("gallery_pause"), elem_id="gallery-pause", visible=False)
            widgets["resume"] = gradio.Button(strings("gallery_resume"), elem_id="gallery-resume", visible=False)
            widgets["pack"] = gradio.Button(strings("gallery_pack"), elem_id="gallery-pack", visible=False)
        widgets["archive"] = gradio.File(label=strings("gallery_archive"), visible=False, elem_id="gallery-archive")
        widgets["table"] = gradio.HTML(elem_id="gallery-table")
    return widgets


class _GalleryCallbacks:
    def __init__(self, galleries: Galleries, widgets: dict[str, Any]) -> None:
        self._galleries, self._widgets = galleries, widgets

    def begin(
        self,
        request: gradio.Request,
        memory: Memory,
        files: Sequence[str] | None,
        folder: Sequence[str] | None,
        strength: str,
        effort: float,
        form: str,
    ) -> tuple[Memory, str]:
        """Make a gallery and start it."""
        say, paths = words_for(request), [Path(path) for path in [*(files or ()), *(folder or ())]]
        if not paths:
            return memory, alert(say("gallery_nothing"))
        try:
            config = config_from({"strength": strength, "effort": EFFORTS[int(effort)], "format": form})
            gallery = self._galleries.create(memory["owner"], paths, config)
        except CloakError as error:
            return memory, alert(say("failure", message=error))
        self._galleries.start(gallery)
        return {**memory, "gallery": gallery.id}, ""

    def pause(self, memory: Memory) -> None:
        """Stop for now."""
        if gallery := self._gallery(memory):
            self._galleries.pause(gallery)

    def resume(self, memory: Memory) -> None:
        """Go on."""
        if gallery := self._gallery(memory):
            self._galleries.start(gallery)

    def pack(self, memory: Memory) -> Any:
        """Everything that is done as one file."""
        gallery = self._gallery(memory)
        return hidden() if gallery is None else gradio.update(value=str(self._galleries.pack(gallery)), visible=True)

    async def watch(self, memory: Memory | None, request: gradio.Request) -> AsyncIterator[Updates]:
        """Show the visitor's gallery until it ends or is paused, also one of before a reload or a restart."""
        say, widgets, gallery = words_for(request), self._widgets, self._gallery(memory)
        if gallery is None:
            yield {widgets["results"]: hidden()}
            return
        yield {widgets["results"]: shown(), widgets["archive"]: hidden()}
        last, begin, left = "", time.monotonic(), len(gallery.pending)
        while True:
            running, table = self._galleries.is_running(gallery), _table(gallery, say)
            if table != last or not running:
                last = table
                yield {
                    widgets["table"]: table,
                    widgets["progress"]: self._progress(gallery, _rate(left - len(gallery.pending), begin), say),
                    **self._buttons(gallery),
                }
            if not running:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _gallery(self, memory: Memory | None) -> Gallery | None:
        return self._galleries.find(memory.get("owner", ""), memory.get("gallery", "")) if memory else None

    def _buttons(self, gallery: Gallery) -> Updates:
        running = self._galleries.is_running(gallery)
        done = any(picture.state == "done" for picture in gallery.pictures.values())
        visible = {"pause": running, "resume": bool(gallery.pending) and not running, "pack": done and not running}
        return {self._widgets[name]: gradio.update(visible=value) for name, value in visible.items()}

    def _progress(self, gallery: Gallery, rate: float, say: Words) -> str:
        """Counts and, while it runs at `rate` pictures per second, the speed and the time that is left."""
        count, left = len(gallery.pictures), len(gallery.pending)
        failed = sum(picture.state == "failed" for picture in gallery.pictures.values())
        key = "gallery_running" if self._galleries.is_running(gallery) else "gallery_paused" if left else "gallery_done"
        text = say(key, done=count - left - failed, count=count, failed=failed)
        if rate and key == "gallery_running":
            text += " " + say("gallery_rate", rate=f"{60 * rate:.2g}")
            text += " " + say("progress_left", time=duration(left / rate, say))
        label = html.escape(say("progress_label"))
        bar = f'<progress max="{count}" value="{count - left}" aria-label="{label}"></progress>'
        return f'<p class="progress-text" role="status">{html.escape(text)}</p>{bar}'


def _rate(done: int, begin: float) -> float:
    """Pictures per second since `begin`; 0 before the first one."""
    return done / (time.monotonic() - begin) if done else 0.0


def _table(gallery: Gallery, say: Words) -> str:
    heads = [say("gallery_picture"), *_heads(say)]
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in heads)
    rows = "".join(_row(name, picture, say) for name, picture in gallery.pictures.items())
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _heads(say: Words) -> list[str]:
    return [say(key) for key in ("models_state", "gallery_visible", "effect_times", "effect_left")]


def _row(name: str, picture: Picture, say: Words) -> str:
    cells = [say("stage_done" if picture.state == "done" else f"gallery_{picture.state}"), "", "", ""]
    if picture.state == "failed":
        cells[0] = failed_text(picture.kind, picture.message, say)
    elif picture.certificate is not None:
        sizes = [effect for effect in picture.certificate["effects"] if effect["sizes"]]
        times = f"{sizes[0]['sizes'][0]['times_noise']:.1f}" if sizes else "-"
        cells[1:] = [visibility_word(picture.certificate, say), times, left_at_worst(sizes[0]) if sizes else "-"]
    body = table_cells(_heads(say), cells)
    return f'<tr class="{picture.state}"><th scope="row">{html.escape(name)}</th>{body}</tr>'
