"""Files that are something else than they say, and a run through the page without a mouse, in a real browser."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.ui.conftest import ready
from tests.ui.test_page_api import png_header

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
_HTML = b"<html><script>document.title = 'taken over'</script></html>"


def animation() -> bytes:
    stream = io.BytesIO()
    frames = [Image.new("L", (48, 48), level) for level in (0, 120, 250)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("hidden.html", _HTML)
    return stream.getvalue()


REFUSED = {
    "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "page.jpg": _HTML,
    "archive.webp": archive(),
    "animation.png": animation(),
    "huge.png": png_header(20_000, 15_000),
}


def upload(tab: Any, file: Path) -> None:
    if tab.locator("#picture input[type=file]").count() == 0:
        tab.locator("#picture button[aria-label*='Remove'], #picture button[aria-label*='Clear']").first.click()
    tab.set_input_files("#picture input[type=file]", file)


def test_what_is_no_picture_is_refused_in_words(page: Any, visit: Callable[..., Any], tmp_path: Path) -> None:
    tab = visit(page).tab
    for name, data in REFUSED.items():
        (tmp_path / name).write_bytes(data)
        upload(tab, tmp_path / name)
        tab.wait_for_selector("#message .alert")
        words = tab.inner_text("#message")
        assert len(words.split()) > 5, (name, words)
        assert "Traceback" not in words
        assert "artcloak-page" not in words
        tab.reload()
        ready(tab)
    assert tab.title() == "artcloak"


def test_what_hides_behind_a_picture_does_not_come_back(
    page: Any, visit: Callable[..., Any], drawing: Path, tmp_path: Path
) -> None:
    for name, tail in {"with archive.png": archive(), "with page.png": _HTML}.items():
        tab = visit(page).tab  # a new visitor, so that no earlier result is taken for this one
        (tmp_path / name).write_bytes(drawing.read_bytes() + tail)
        upload(tab, tmp_path / name)
        tab.wait_for_selector("#facts p")
        tab.locator("#effort input[type=number]").fill("0")
        tab.keyboard.press("Tab")
        tab.click("#start")
        tab.wait_for_selector("#certificate table")
        with tab.expect_download() as download:
            tab.click("#download")
        download.value.save_as(tmp_path / "cloaked.png")
        cloaked = (tmp_path / "cloaked.png").read_bytes()
        assert cloaked.endswith(b"IEND\xaeB`\x82")
        assert tail not in cloaked
        assert tab.title() == "artcloak"


def tab_to(tab: Any, selector: str) -> None:
    """Press the tabulator until something that matches has the focus."""
    for _ in range(80):
        tab.keyboard.press("Tab")
        if tab.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with the keyboard")


def test_protect_without_a_mouse(page: Any, visit: Callable[..., Any], drawing: Path, tmp_path: Path) -> None:
    tab = visit(page).tab
    # Listened for from the start: expect_file_chooser() may begin to listen after the key was pressed.
    tab.on("filechooser", lambda chooser: chooser.set_files(drawing))
    tab_to(tab, "#picture button")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#facts p")
    tab.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    tab_to(tab, "#strength input[type=radio]")
    tab.keyboard.press("ArrowLeft")
    tab_to(tab, "#effort input[type=range]")
    tab.keyboard.press("Home")
    tab_to(tab, "#start")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#certificate table")
    command = tab.input_value("#command textarea, #command input")
    assert "--strength subtle" in command
    assert "--effort instant" in command
    tab_to(tab, "#compare [role=slider]")
    tab_to(tab, "#download")
    with tab.expect_download() as download:
        tab.keyboard.press("Enter")
    download.value.save_as(tmp_path / "cloaked.png")
    with Image.open(tmp_path / "cloaked.png") as picture:
        assert picture.size == (128, 96)
