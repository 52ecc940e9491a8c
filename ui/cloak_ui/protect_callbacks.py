"""What the tab "Protect" does when something is clicked: parse, call, format."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import gradio

from cloak.config import ProtectConfig
from cloak.errors import CloakError
from cloak_ui.command import equivalent_command
from cloak_ui.errands import Errand
from cloak_ui.estimates import seconds_for
from cloak_ui.forms import EFFORTS, STRENGTHS, config_from
from cloak_ui.jobs import BusyError, Desk, Job
from cloak_ui.languages import Words
from cloak_ui.tasks import LookTask, ProtectTask
from cloak_ui.watching import Memory, alert, changes, hidden, shown, words_for
from cloak_ui.wording import certificate_text, duration, facts_text, failure_text, progress_html

__all__ = ["ADVANCED", "SETTINGS", "ProtectCallbacks"]

ADVANCED = ("format", "metadata", "notice", "models", "method", "target", "quality", "seed")
SETTINGS = ("strength", "effort", *ADVANCED)
_VIEWS = ("difference", "change_map", "seen_original", "seen_cloaked")
Updates = dict[Any, Any]


class ProtectCallbacks:
    """The functions behind the widgets.

    Args:
        desk: carries out the jobs.
        widgets: of the tab, by name.
    """

    parts = ("facts_line", *(f"part_{name}" for name in ("original", *STRENGTHS)))

    def __init__(self, desk: Desk, widgets: Mapping[str, Any]) -> None:
        self._desk, self._widgets, self.errand = desk, widgets, Errand(desk, "job")

    async def first_estimate(self, request: gradio.Request) -> str:
        """The time of the default effort, as soon as the machine was measured."""
        for _ in range(120):
            if self._desk.rates:
                break
            await asyncio.sleep(0.25)
        return self.estimate(EFFORTS.index(ProtectConfig.model_fields["effort"].default), None, request)

    async def look(self, memory: Memory, picture: str | None, request: gradio.Request) -> AsyncIterator[Updates]:
        """Show a new picture and how each strength looks on a part of it, one by one."""
        say, widgets = words_for(request), self._widgets
        yield {widgets["message"]: "", widgets["facts"]: None, widgets["facts_line"]: "", widgets["parts"]: hidden()}
        if picture is None:
            return
        try:
            job = self._desk.submit(memory["owner"], Path(picture), LookTask)
        except BusyError as error:
            yield {widgets["message"]: alert(say(error.key))}
            return
        async for _ in changes(job):
            yield self._looked(job, say)
        if job.state == "failed":
            yield {widgets["message"]: alert(failure_text(job, say))}

    def _looked(self, job: Job, say: Words) -> Updates:
        widgets = self._widgets
        parts = {name: job.pictures[name] for name in self.parts if name in job.pictures}
        updates: Updates = {widgets[name]: str(path) for name, path in parts.items()}
        if job.facts:
            updates |= {widgets["facts"]: job.facts, widgets["facts_line"]: facts_text(job.facts, say)}
        return updates | {widgets["parts"]: gradio.update(visible=bool(parts))}

    def estimate(self, effort: float, facts: Mapping[str, Any] | None, request: gradio.Request) -> str:
        """How long the chosen effort will take on this machine."""
        say, name = words_for(request), EFFORTS[int(effort)]
        rate = self._desk.rates.get(name)
        if rate is None:
            return say(f"effort_{name}")
        seconds = seconds_for(facts["width"], facts["height"], effort=name, rate=rate) if facts else rate
        about = say("time_picture" if facts else "time_megapixel", time=duration(seconds, say))
        return f"{say(f'effort_{name}')} {about}"

    def start(self, request: gradio.Request, memory: Memory, picture: str | None, *settings: Any) -> tuple[Memory, str]:
        """Take the job on; `settings` are in the order of `SETTINGS`."""
        say = words_for(request)
        if picture is None:
            return self.errand.refuse(memory, say("no_picture"))
        try:
            values = dict(zip(SETTINGS, settings, strict=True))
            config = config_from({**values, "effort": EFFORTS[int(values["effort"])]})
        except CloakError as error:
            return self.errand.refuse(memory, say("failure", message=error))
        return self.errand.submit(memory, Path(picture), lambda source: ProtectTask(source, config), say)

    async def watch(self, memory: Memory, request: gradio.Request) -> AsyncIterator[Updates]:
        """Show a job until it is over, also one that was begun before the page was reloaded."""
        say, widgets = words_for(request), self._widgets
        job = self.errand.find(memory)
        if job is None:
            yield {widgets["running"]: hidden()}
            return
        calm = {} if job.over else {widgets["message"]: ""}
        if not job.over:
            yield {widgets["now"]: None, widgets["running"]: shown(), widgets["results"]: hidden()}
        async for _ in changes(job, waiting=True):
            if not job.over:
                now = {widgets["now"]: str(job.pictures["now"])} if "now" in job.pictures else {}
                text = progress_html(job, self.errand.place(job), say)
                yield {widgets["running"]: shown(), widgets["progress"]: text, **now}
        yield {widgets["running"]: hidden(), **calm, **self._ended(job, say)}

    def _ended(self, job: Job, say: Words) -> Updates:
        widgets = self._widgets
        if job.state != "done":
            return {widgets["message"]: alert(failure_text(job, say)), widgets["results"]: hidden()}
        assert isinstance(job.task, ProtectTask)
        pictures, files = job.pictures, job.files
        certificate = json.loads(files["certificate"].read_text(encoding="utf-8"))
        model = job.facts.get("seen_model")
        config: ProtectConfig = job.task.config
        views: Updates = {widgets[name]: str(pictures[name]) for name in _VIEWS if name in pictures}
        return views | {
            widgets["results"]: shown(),
            widgets["hint"]: hidden(),
            widgets["compare"]: (str(pictures["original"]), str(pictures["cloaked"])),
            widgets["file"]: str(files["picture"]),
            widgets["proof"]: str(files["certificate"]),
            widgets["certificate"]: certificate_text(certificate, say),
            widgets["seen"]: gradio.update(visible=model is not None),
            widgets["seen_text"]: say("seen_intro", model=model),
            widgets["command"]: equivalent_command(job.task.source.name, config),
        }
