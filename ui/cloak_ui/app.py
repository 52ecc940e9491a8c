"""Composes the page."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio

from cloak_ui.attack_tab import build_attack_tab
from cloak_ui.extras import eval_missing
from cloak_ui.galleries import Galleries
from cloak_ui.gallery_tab import build_gallery_tab
from cloak_ui.jobs import Desk
from cloak_ui.models_tab import build_models_tab
from cloak_ui.notices_tab import build_notices_tab
from cloak_ui.proof_tab import build_proof_tab
from cloak_ui.protect_api import add_protect_api
from cloak_ui.protect_tab import build_protect_tab
from cloak_ui.watching import QUIET, greet

if TYPE_CHECKING:
    from gradio.themes.base import Base

__all__ = ["SCRIPT", "STYLE", "create_app", "theme"]

STYLE, SCRIPT = (Path(__file__).parent / name for name in ("style.css", "page.js"))
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "Consolas", "Menlo", "monospace")

# Gradio's own shades are below WCAG AA in these places.
_CONTRAST = {
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_300",
    "block_info_text_color": "*neutral_600",
    "block_info_text_color_dark": "*neutral_300",
    "block_title_text_color": "*neutral_700",
    "block_title_text_color_dark": "*neutral_100",
    "block_label_text_color": "*neutral_700",
    "block_label_text_color_dark": "*neutral_100",
    "input_placeholder_color": "*neutral_600",
    "input_placeholder_color_dark": "*neutral_300",
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_dark": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "button_primary_background_fill_hover_dark": "*primary_800",
    "button_cancel_background_fill": "#b91c1c",
    "button_cancel_background_fill_dark": "#b91c1c",
    "button_cancel_background_fill_hover": "#991b1b",
    "button_cancel_background_fill_hover_dark": "#991b1b",
    "checkbox_border_color": "*neutral_500",
    "checkbox_border_color_dark": "*neutral_400",
    "link_text_color": "*primary_700",
    "link_text_color_dark": "*primary_300",
}


def theme() -> "Base":
    """The look, with fonts of the reader's own system: none is fetched."""
    base = gradio.themes.Default(primary_hue="teal", neutral_hue="slate", font=_FONT, font_mono=_MONO)
    return base.set(**_CONTRAST)


def create_app(
    desk: Desk, galleries: Galleries, strings: gradio.I18n, *, secret: str, public: bool = False
) -> gradio.Blocks:
    """The page with its tabs.

    Args:
        desk: carries out the jobs.
        galleries: of all visitors.
        strings: words that the browser translates.
        secret: encrypts what the browser remembers; with the same one visitors are recognised after a restart.
        public: whether strangers share this machine; they may not change what lies on it.
    """
    app = gradio.Blocks(title="artcloak", analytics_enabled=False, delete_cache=(600, int(desk.limits.keep_seconds)))
    with app:
        gradio.Markdown(strings("page_head_public" if public else "page_head"), elem_classes="page-head")
        memory = gradio.BrowserState({"owner": ""}, storage_key="artcloak", secret=secret)
        greeted = app.load(greet, [memory], [memory], **QUIET)  # whatever needs the visitor comes after it
        with gradio.Tabs():
            with gradio.Tab(strings("tab_protect"), id="protect"):
                build_protect_tab(greeted, desk, memory, strings)
            with gradio.Tab(strings("tab_gallery"), id="gallery"):
                build_gallery_tab(greeted, galleries, memory, strings)
            with gradio.Tab(strings("tab_proof"), id="proof"):
                unavailable = "proof_public" if public else "proof_missing" if eval_missing() else ""
                build_proof_tab(greeted, desk, memory, strings, unavailable=unavailable)
            with gradio.Tab(strings("tab_attack"), id="attack"):
                build_attack_tab(desk, memory, strings)
            with gradio.Tab(strings("tab_models"), id="models"):
                build_models_tab(app, strings, changeable=not public)
            with gradio.Tab(strings("tab_notices"), id="notices"):
                build_notices_tab(strings)
        add_protect_api(desk)
    app.queue(max_size=256, default_concurrency_limit=None)
    return app
