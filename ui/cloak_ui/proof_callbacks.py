"""What happens on the tab "Prove it"."""

import html
import math
import random
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio

from cloak_ui.errands import Errand
from cloak_ui.jobs import Desk, Job, safe_name
from cloak_ui.languages import Words
from cloak_ui.tasks import Mimic, ProofTask
from cloak_ui.watching import Memory, alert, changes, hidden, shown, words_for
from cloak_ui.wording import failure_text, progress_html

__all__ = ["ARMS", "QUESTIONS", "QUIZ", "ProofCallbacks"]

ARMS = ("clean", "artcloak", "noise")
QUESTIONS = ("style", "better")
QUIZ = ("given", "quiz_text", "picture_a", "picture_b", *QUESTIONS, "open", "solution", "score", "all")
_LEAST, _MOST = 8, 60  # pictures
Answers = list[list[str]]  # for each pair "a" or "b" to each of the questions
Updates = dict[Any, Any]


class ProofCallbacks:
    """The functions behind the widgets.

    Args:
        desk: carries out the jobs.
        widgets: of the tab, by name.
    """

    def __init__(self, desk: Desk, widgets: Mapping[str, Any]) -> None:
        self.errand, self._widgets = Errand(desk, "proof"), widgets

    def start(
        self, request: gradio.Request, memory: Memory, files: Sequence[str] | None, mimic: Mimic
    ) -> tuple[Memory, str]:
        """Take the job on."""
        say, paths = words_for(request), [Path(path) for path in files or ()]
        if not _LEAST <= len(paths) <= _MOST:
            return self.errand.refuse(memory, say("proof_count", least=_LEAST, most=_MOST, count=len(paths)))

        def task(copy: Path) -> ProofTask:
            folder = copy.parent / "pictures"
            folder.mkdir()
            copy.unlink()
            for index, path in enumerate(paths, 1):  # the number keeps equal names apart
                shutil.copyfile(path, folder / f"{index:02} {safe_name(path.name)}")
            return ProofTask(folder, mimic)

        return self.errand.submit(memory, paths[0], task, say)

    async def watch(self, memory: Memory, request: gradio.Request) -> AsyncIterator[Updates]:
        """Show what the mimics draw while they learn, then the quiz; also after a reload of the page."""
        say, widgets, job = words_for(request), self._widgets, self.errand.find(memory)
        if job is None:
            yield {widgets["running"]: hidden()}
            return
        calm = {} if job.over else {widgets["message"]: ""}
        if not job.over:
            empty = {widgets[f"now_{arm}"]: None for arm in ARMS}
            yield {widgets["running"]: shown(), widgets["results"]: hidden(), **empty}
        latest: dict[str, Path] = {}
        async for _ in changes(job, waiting=True):
            news = {name: path for name, path in job.pictures.items() if latest.get(name) != path}
            latest |= news
            now = {widgets[f"now_{arm}"]: str(news[f"now/{arm}"]) for arm in ARMS if f"now/{arm}" in news}
            text = _progress(job, self.errand.place(job), say)
            yield {widgets["running"]: shown(), widgets["progress"]: text, **now}
        yield {widgets["running"]: hidden(), **calm, **self._ended(job, say)}

    def answer(
        self, request: gradio.Request, memory: Memory, given: Answers, style: str | None, better: str | None
    ) -> Updates:
        """Take the answers about one pair and show the next one, after the last one the solution."""
        say, widgets, job = words_for(request), self._widgets, self.errand.find(memory)
        if job is None or style is None or better is None:
            text = say("proof_answer_both") if job else say("proof_gone")
            return {widgets["quiz_text"]: (_pair_text(job, given, say) if job else "") + alert(text)}
        return {widgets["given"]: (given := [*given, [style, better]]), **self._quiz(job, given, say)}

    def _quiz(self, job: Job, given: Answers, say: Words) -> Updates:
        """The pair after those that were answered, or the solution."""
        widgets, pairs = self._widgets, _pairs(job)
        if len(given) < len(pairs):
            first, second = (str(job.pictures[f"pair/{arm}/{len(given)}"]) for arm in pairs[len(given)])
            return {
                widgets["quiz_text"]: _pair_text(job, given, say),
                **{widgets["picture_a"]: first, widgets["picture_b"]: second},
                **{widgets[name]: None for name in QUESTIONS},
                **{widgets["open"]: shown(), widgets["solution"]: hidden()},
            }
        solution = [
            (str(job.pictures[f"pair/{arm}/{index}"]), f"{index + 1}{side.upper()}: {say(f'proof_now_{arm}')}")
            for index, arms in enumerate(pairs)
            for side, arm in zip("ab", arms, strict=True)
        ]
        return {
            **{widgets["open"]: hidden(), widgets["solution"]: gradio.update(visible=bool(pairs))},
            **{widgets["score"]: _score(pairs, given, say), widgets["all"]: solution},
        }

    def _ended(self, job: Job, say: Words) -> Updates:
        widgets = self._widgets
        if job.state != "done":
            return {widgets["message"]: alert(failure_text(job, say)), widgets["results"]: hidden()}
        return {
            widgets["results"]: shown(),
            widgets["given"]: [],
            **self._quiz(job, [], say),
            widgets["verdict"]: _verdict(job, say),
            widgets["page"]: str(job.files["page"]),
        }


def _progress(job: Job, place: int, say: Words) -> str:
    """The bar, and which of the mimics is at work on what."""
    facts = job.facts
    if not facts.get("mimic"):
        return progress_html(job, place, say)
    arm = say(f"proof_now_{facts['arm']}")
    if facts["attack"]:
        arm = say("proof_attacked", arm=arm, attack=facts["attack"])
    detail = say("proof_mimic_number", number=facts["mimic"], count=facts["mimics"], arm=arm)
    if job.progress.total:
        detail += " " + say("proof_steps", done=job.progress.index, count=job.progress.total)
    return progress_html(job, place, say, detail)


def _pairs(job: Job) -> list[list[str]]:
    """Which arm drew A and which B of each pair; known to nobody before the solution, the same after a reload."""
    count = sum(name.startswith("pair/artcloak/") for name in job.pictures)
    order = random.Random(job.id)
    return [order.sample(["clean", "artcloak"], 2) for _ in range(count)]


def _pair_text(job: Job, given: Answers, say: Words) -> str:
    text = html.escape(say("proof_pair", number=len(given) + 1, count=len(_pairs(job))))
    return f'<p class="progress-text" role="status">{text}</p>'


def _score(pairs: Sequence[Sequence[str]], given: Answers, say: Words) -> str:
    """How often the drawing of the clean mimic was chosen, and how often guessing chooses it as often or more."""
    count = len(pairs)
    lines = []
    for question, name in enumerate(QUESTIONS):
        clean = sum(arms["ab".index(answers[question])] == "clean" for arms, answers in zip(pairs, given, strict=True))
        chance = sum(math.comb(count, k) for k in range(clean, count + 1)) / 2**count
        lines.append(say(f"proof_score_{name}", clean=clean, count=count, chance=f"{100 * chance:.0f}"))
    return "\n\n".join([*lines, say("proof_score_note")])


def _verdict(job: Job, say: Words) -> str:
    """What the judging program found, in words."""
    figures = job.figures
    if "gain" not in figures:
        return say("proof_verdict_none", doubt=job.facts["doubt"])
    points = {name: f"{100 * figures[name]:+.0f}" for name in ("gain", "low", "high")}
    sure = say("proof_sure" if figures["low"] > 0 else "proof_chance")
    return say("proof_verdict", sure=sure, drawings=int(figures["drawings"]), model=job.facts["model"], **points)
