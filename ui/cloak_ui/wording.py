"""Facts, progress, failures and certificates as a person reads them, in the browser's language."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from cloak.budgets import STRENGTHS
from cloak_ui.jobs import CRASHED, TOO_LONG, Job
from cloak_ui.languages import Words

__all__ = [
    "certificate_text",
    "duration",
    "facts_text",
    "failed_text",
    "failure_text",
    "left_at_worst",
    "progress_html",
    "table_cells",
    "visibility_word",
]

_NO_NUMBERS = "-"


def duration(seconds: float, say: Words) -> str:
    """About how long something takes."""
    if seconds < 1:
        return say("time_moment")
    if seconds < 90:
        return say("time_seconds", count=round(seconds))
    minutes = round(seconds / 60)
    if minutes < 90:
        return say("time_minutes", count=minutes)
    return say("time_hours", hours=minutes // 60, minutes=minutes % 60)


def facts_text(facts: Mapping[str, str | int | bool], say: Words) -> str:
    """What a picture is, in one line."""
    parts = [say("facts_size", width=facts["width"], height=facts["height"]), str(facts["format"]).upper()]
    parts += [say("facts_bits", bits=facts["bits"])] if int(facts["bits"]) > 8 else []
    parts += [say("facts_transparent")] if facts["transparent"] else []
    parts += [say("facts_profile")] if facts["profile"] else []
    return ", ".join(parts)


def progress_html(job: Job, place: int, say: Words, detail: str = "") -> str:
    """A bar with a sentence, which screen readers are told as well, and one more that says what exactly is done."""
    step = job.progress
    if job.state == "waiting":
        text = say("progress_waiting", count=place) if place else say("progress_starting")
    elif job.finishing:
        text = say("progress_finishing")
    else:
        text = say(f"stage_{step.stage}") if step.stage else say("progress_starting")
        if step.eta_seconds is not None:
            text += " " + say("progress_left", time=duration(step.eta_seconds, say))
    more = f'<p class="progress-text">{html.escape(detail)}</p>' if detail and job.state == "running" else ""
    return (
        f'<p class="progress-text" role="status">{html.escape(text)}</p>{more}'
        f'<progress max="1" value="{job.share:.3f}" aria-label="{html.escape(say("progress_label"))}"></progress>'
    )


def table_cells(heads: Sequence[str], cells: Sequence[str]) -> str:
    """A row's cells, each with the head of its column, which narrow screens show beside it."""
    pairs = zip(map(html.escape, heads), map(html.escape, cells), strict=True)
    return "".join(f'<td data-head="{head}">{cell}</td>' for head, cell in pairs)


def failure_text(job: Job, say: Words) -> str:
    """Why a job ended without a result, and what to do."""
    if job.state == "cancelled":
        return say("cancelled")
    assert job.failure is not None
    return failed_text(job.failure.kind, job.failure.message, say)


def failed_text(kind: str, message: str, say: Words) -> str:
    """A failure in words, by its kind where that says all."""
    known = {CRASHED: "failure_crashed", TOO_LONG: "failure_too_long", "UnexpectedError": "failure_unexpected"}
    return say(known[kind]) if kind in known else say("failure", message=message)


def visibility_word(certificate: Mapping[str, Any], say: Words) -> str:
    """How visible the change is, in a few words."""
    visible = certificate["visibility"]
    level = next((name for name, level in STRENGTHS.items() if visible["lpips"] <= level.caps.lpips), "beyond")
    return say(f"visible_{level}" if visible["max_change"] else "visible_none")


def certificate_text(certificate: Mapping[str, Any], say: Words) -> str:
    """The certificate in plain words, each figure beside its noise control."""
    visible = certificate["visibility"]
    lines = [
        say("visible_line", level=visibility_word(certificate, say)),
        say("visible_change", largest=round(visible["max_change"]), mean=f"{visible['mean_change']:.1f}"),
        "",
        *_effect_table(certificate["effects"], say),
        "",
    ]
    if all(model["embedded"] for model in certificate["models"]):
        lines += [say("only_embedded"), ""]
    lines += [say("no_promise"), "", say("how_made", **_how_made(certificate, say))]
    return "\n".join(lines)


def _how_made(certificate: Mapping[str, Any], say: Words) -> dict[str, str]:
    return {
        "steps": str(certificate["steps"]),
        "time": duration(certificate["seconds"], say),
        "device": certificate["device"],
        "sha256": certificate["output"]["sha256"],
    }


def _effect_table(effects: list[dict[str, Any]], say: Words) -> list[str]:
    shown = [effect for effect in effects if effect["sizes"]]
    if not shown:
        return [say("effect_unknown")]
    head = [say(f"effect_{name}") for name in ("model", "cloak", "noise", "times", "left")]
    rows = [_effect_row(effect, say) for effect in shown]
    return [say("effect_intro"), "", *("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])]


def _effect_row(effect: dict[str, Any], say: Words) -> list[str]:
    at = effect["sizes"][0]
    times = round(at["times_noise"], 1)
    word = say("moved_strongly" if times >= 10 else "moved_clearly" if times >= 3 else "moved_hardly")
    return [
        effect["model"],
        f"{100 * at['cloak']['low_frequency']:.1f} %",
        f"{100 * at['noise']['low_frequency']:.1f} %",
        f"{times} ({word})",
        left_at_worst(effect),
    ]


def left_at_worst(effect: Mapping[str, Any]) -> str:
    """What is left of the effect after the worst of the tested processing; "-" when it was not measured."""
    left = min(effect["remains"].items(), key=lambda item: item[1], default=None)
    return _NO_NUMBERS if left is None else f"{100 * left[1]:.0f} % ({left[0]})"
