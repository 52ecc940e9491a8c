"""Protecting a picture for programs: the one endpoint that the page documents."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import gradio

from cloak.errors import CloakError, UsageError
from cloak_ui.forms import EFFORTS, STRENGTHS, config_from, setting_choices
from cloak_ui.jobs import BusyError, Desk
from cloak_ui.languages import words
from cloak_ui.tasks import ProtectTask
from cloak_ui.wording import failure_text

__all__ = ["add_protect_api"]

_SETTINGS = ("strength", "effort", "format", "metadata", "notice", "seed")
_WAIT_SECONDS = 0.2


def add_protect_api(desk: Desk) -> None:
    """Add the endpoint `/protect` to the page that is being composed.

    It goes through widgets that nobody sees, as these check that a file was uploaded by whoever names it.
    """

    async def protect(
        picture: str | None,
        strength: str,
        effort: str,
        format: str,  # noqa: A002 (the endpoint's parameters are named after these)
        metadata: str,
        notice: bool,
        seed: float,
    ) -> tuple[str, dict[str, Any]]:
        """Protect one picture; returns the file, in the asked-for format, and its certificate."""
        settings = (strength, effort, format, metadata, notice, seed)
        try:
            return await _protected(desk, picture, dict(zip(_SETTINGS, settings, strict=True)))
        except BusyError as error:
            raise gradio.Error(words("en")(error.key)) from error
        except CloakError as error:
            raise gradio.Error(str(error)) from error

    inputs = [
        gradio.File(label="picture", visible=False),
        gradio.Radio(list(STRENGTHS), value="balanced", label="strength", visible=False),
        gradio.Radio(list(EFFORTS), value="standard", label="effort", visible=False),
        gradio.Radio(setting_choices("format"), value="keep", label="format", visible=False),
        gradio.Radio(setting_choices("metadata"), value="keep", label="metadata", visible=False),
        gradio.Checkbox(value=True, label="notice", visible=False),
        gradio.Number(value=0, precision=0, label="seed", visible=False),
    ]
    outputs = [gradio.File(label="cloaked picture", visible=False), gradio.JSON(label="certificate", visible=False)]
    gradio.Button(visible=False).click(protect, inputs, outputs, api_name="protect")


async def _protected(desk: Desk, picture: str | None, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if picture is None:
        raise UsageError("Give a picture.")
    config = config_from(settings)
    job = desk.submit(secrets.token_urlsafe(16), Path(picture), lambda source: ProtectTask(source, config))
    try:
        while not job.over:
            await asyncio.sleep(_WAIT_SECONDS)
    finally:
        if not job.over:  # whoever asked is gone
            desk.cancel(job)
    if job.state != "done":
        raise UsageError(failure_text(job, words("en")))
    certificate = json.loads(job.files["certificate"].read_text(encoding="utf-8"))
    return str(job.files["picture"]), certificate
