"""Protecting a picture for programs: the one endpoint that the page documents."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import gradio
from gradio.events import api

from cloak.errors import CloakError
from cloak.types import Effort, FormatChoice, MetadataPolicy, Strength
from cloak_ui.forms import config_from
from cloak_ui.jobs import BusyError, Desk
from cloak_ui.languages import words
from cloak_ui.tasks import ProtectTask
from cloak_ui.wording import failure_text

__all__ = ["add_protect_api"]

_WAIT_SECONDS = 0.2


def add_protect_api(desk: Desk) -> None:
    """Add the endpoint `/protect` to the page that is being composed."""

    async def protect(
        picture: gradio.FileData,
        strength: Strength = "balanced",
        effort: Effort = "standard",
        format: FormatChoice = "keep",  # noqa: A002
        metadata: MetadataPolicy = "keep",
        notice: bool = True,
        seed: int = 0,
    ) -> tuple[gradio.FileData, dict[str, Any]]:
        """Protect one picture; returns the file, in the asked-for format, and its certificate.

        Args:
            picture: PNG, JPEG, WebP, TIFF, AVIF or BMP.
            strength: how visible the cloak may become: subtle, balanced or strong.
            effort: how much computing to spend: instant, fast, standard or thorough.
            format: of the output: keep, png, jpeg, webp or tiff.
            metadata: keep, strip-private or strip.
            notice: write the notice that prohibits training.
            seed: the same input, settings and seed give the same bytes.
        """
        say = words("en")
        values = {"strength": strength, "effort": effort, "format": format, "metadata": metadata}
        try:
            config = config_from({**values, "notice": notice, "seed": seed})
            source = Path(picture.path)
            job = desk.submit(secrets.token_urlsafe(16), source, lambda copy: ProtectTask(copy, config))
        except BusyError as error:
            raise gradio.Error(say(error.key)) from error
        except CloakError as error:
            raise gradio.Error(str(error)) from error
        try:
            while not job.over:
                await asyncio.sleep(_WAIT_SECONDS)
        finally:
            if not job.over:  # whoever asked is gone
                desk.cancel(job)
        if job.state != "done":
            raise gradio.Error(failure_text(job, say))
        certificate = json.loads(job.files["certificate"].read_text(encoding="utf-8"))
        return gradio.FileData(path=str(job.files["picture"]), orig_name=job.files["picture"].name), certificate

    api(protect, api_name="protect", concurrency_limit=None)
