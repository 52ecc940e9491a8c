"""What every tab needs to show a job to a visitor."""

import asyncio
import html
import secrets
from collections.abc import AsyncIterator
from typing import Any

import gradio

from cloak_ui.jobs import Job
from cloak_ui.languages import Words, preferred_language, words

__all__ = ["QUIET", "WATCHED", "Memory", "alert", "changes", "greet", "hidden", "shown", "words_for"]

Memory = dict[str, str]
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}  # how the page calls its functions
WATCHED = {**QUIET, "trigger_mode": "always_last"}  # those that follow a job, after the one before has ended
_WATCH_SECONDS = 0.3  # between two looks at a job


def greet(memory: Memory | None) -> Memory:
    """Give a new visitor a name of his own, by which his jobs are found again."""
    remembered = memory or {}
    return {**remembered, "owner": remembered.get("owner") or secrets.token_urlsafe(16)}


def words_for(request: gradio.Request) -> Words:
    """The strings in the language of whoever sent a request."""
    return words(preferred_language(request.headers.get("accept-language")))


def alert(text: str) -> str:
    """A message that screen readers say at once; "" for none."""
    return f'<p class="alert" role="alert">{html.escape(text)}</p>' if text else ""


def shown() -> Any:
    """Make a widget visible."""
    return gradio.update(visible=True)


def hidden() -> Any:
    """Make a widget invisible."""
    return gradio.update(visible=False)


async def changes(job: Job, *, waiting: bool = False) -> AsyncIterator[None]:
    """Yields whenever something about a job changed, at least once, and a last time when it is over.

    Args:
        job: what is watched.
        waiting: whether to yield every time while it waits, as its place in the queue changes.
    """
    seen = -1
    while True:
        over, version = job.over, job.version
        if version != seen or (waiting and job.state == "waiting"):
            seen = version
            yield
        if over:
            return
        await asyncio.sleep(_WATCH_SECONDS)
