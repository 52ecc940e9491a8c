"""The tab "Notices": the texts that tell programs and people that a site's pictures are not for training."""

import html
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio

from cloak.errors import CloakError
from cloak.notices import site_notices
from cloak_ui.languages import Words
from cloak_ui.watching import QUIET, alert, words_for

__all__ = ["build_notices_tab"]


def build_notices_tab(strings: gradio.I18n) -> dict[str, Any]:
    """Lay the tab out and connect it."""
    gradio.Markdown(strings("notices_intro"))
    site = gradio.Textbox(
        label=strings("notices_site"), info=strings("notices_site_info"), max_length=200, elem_id="notices-site"
    )
    make = gradio.Button(strings("notices_make"), variant="primary", elem_id="notices-make")
    message = gradio.HTML(elem_id="notices-message", elem_classes="message")
    say: Any = strings  # gradio's hints forget that these may be translated in the browser
    pack = gradio.DownloadButton(say("notices_pack"), visible=False, elem_id="notices-pack")
    texts = gradio.HTML(elem_id="notices-texts")
    gradio.on([make.click, site.submit], _show, [site], [message, pack, texts], **QUIET)
    return {"site": site, "make": make, "message": message, "pack": pack, "texts": texts}


def _show(site: str, request: gradio.Request) -> tuple[str, Any, str]:
    say = words_for(request)
    try:
        texts = site_notices(site.strip())
    except CloakError as error:
        return alert(say("failure", message=error)), gradio.update(visible=False), ""
    return "", gradio.update(value=str(_packed(texts)), visible=True), _boxes(texts, say)


def _packed(texts: Mapping[str, str]) -> Path:
    """A ZIP archive of the texts, which gradio copies to its own folder and deletes there in time."""
    folder = Path(tempfile.mkdtemp(dir=_temporary()))
    with zipfile.ZipFile(folder / "notices.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path, text in texts.items():
            packed.writestr(path, text)
    return folder / "notices.zip"


def _temporary() -> Path:
    """The folder of this run of the page, deleted at its end."""
    from gradio.utils import get_upload_folder

    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _boxes(texts: Mapping[str, str], say: Words) -> str:
    return "".join(_box(path, text, say) for path, text in texts.items())


def _box(path: str, text: str, say: Words) -> str:
    """One text with its name and a button that copies it; the page's script makes that work."""
    name, button = html.escape(path), html.escape(say("notices_copy"))
    done = html.escape(say("notices_copied"))
    return (
        f'<section class="notice" aria-label="{name}"><h3>{name}</h3>'
        f'<button type="button" class="copy" data-done="{done}" aria-label="{button}: {name}">{button}</button>'
        f'<pre tabindex="0">{html.escape(text)}</pre></section>'
    )
