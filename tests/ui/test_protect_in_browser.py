"""A visitor's way through the page, in a real browser."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cloak.image import PROHIBITED_TRAINING, read_notice
from tests.ui.conftest import ready

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


# What the server says arrives late, as with a slow connection or a busy browser.
LATE = """
const plain = fetch;
window.fetch = async (...request) => {
  const response = await plain(...request);
  if (!response.url.includes("/queue/data")) return response;
  const transform = async (chunk, out) => {
    await new Promise((go) => setTimeout(go, 300));
    out.enqueue(chunk);
  };
  return new Response(response.body.pipeThrough(new TransformStream({ transform })), response);
};
"""


def choose(tab: Any, picture: Path, *, effort: int = 0) -> None:
    tab.set_input_files("#picture input[type=file]", picture)
    tab.wait_for_selector("#facts p")
    choose_effort(tab, effort)


def choose_effort(tab: Any, effort: int) -> None:
    tab.locator("#effort input[type=number]").fill(str(effort))
    tab.keyboard.press("Tab")


def saved(tab: Any, button: str, folder: Path) -> Path:
    with tab.expect_download() as download:
        tab.click(button)
    path: Path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_upload_protect_compare_download(
    page: Any, visit: Callable[..., Any], serious_violations: Callable[[Any], list[str]], drawing: Path, tmp_path: Path
) -> None:
    tab = visit(page).tab
    choose(tab, drawing)
    assert "128 \u00d7 96" in tab.inner_text("#facts")
    tab.wait_for_function("document.querySelectorAll('.parts img').length == 4")
    tab.click("#start")
    tab.wait_for_selector("#certificate table")
    box = tab.locator("#compare").bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, steps=4)
    tab.mouse.up()
    assert "--effort instant" in tab.input_value("#command textarea, #command input")
    cloaked, proof = saved(tab, "#download", tmp_path), saved(tab, "#download-certificate", tmp_path)
    certificate = json.loads(proof.read_text(encoding="utf-8"))
    assert cloaked.name == "small cat.cloaked.png"
    assert certificate["output"]["sha256"] == hashlib.sha256(cloaked.read_bytes()).hexdigest()
    assert certificate["input"]["sha256"] == hashlib.sha256(drawing.read_bytes()).hexdigest()
    assert read_notice(cloaked) == PROHIBITED_TRAINING
    with Image.open(cloaked) as picture:
        assert (picture.format, picture.size) == ("PNG", (128, 96))
    tab.get_by_role("tab", name="Attack it").click()
    tab.click("#attack-take")
    tab.wait_for_function("document.querySelectorAll('#attack-original table, #attack-cloaked table').length == 2")
    tab.get_by_label("slight noise", exact=True).uncheck()
    tab.get_by_label("waifu2x, cleaning for drawings", exact=True).check()
    tab.click("#attack-start")
    tab.wait_for_function("document.querySelectorAll('#attack-bars tbody tr').length == 8")
    for heading in tab.get_by_role("tab").all():
        heading.click()
        tab.wait_for_timeout(300)
        assert serious_violations(tab) == [], heading.inner_text()
    assert not page.outside.exists()


def test_cancel_reload_and_keyboard(page: Any, visit: Callable[..., Any], drawing: Path) -> None:
    """All by keyboard: begin, reload in the middle, stop early and keep, begin again, cancel."""
    tab = visit(page).tab
    choose(tab, drawing, effort=3)
    tab.wait_for_function("document.querySelectorAll('.parts img').length == 4")
    tab.focus("button.label-wrap")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#setting-seed")
    tab.focus("#start")
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('#progress progress')?.value > 0")
    tab.reload()
    ready(tab)
    tab.wait_for_function("document.querySelector('#progress progress')?.value > 0")
    tab.focus("#keep")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#certificate table")
    steps = int(tab.inner_text("#certificate").split(" steps in ")[0].split()[-1])
    assert 0 < steps < 160
    handle = tab.locator("#compare [role=slider]")
    handle.focus()
    before = int(handle.get_attribute("aria-valuenow"))
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_function(f"document.querySelector('#compare [role=slider]').ariaValueNow < {before}")
    choose(tab, drawing, effort=3)
    tab.focus("#start")
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('#progress progress')?.value > 0")
    tab.focus("#cancel")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#message .alert")
    assert "Cancelled" in tab.inner_text("#message")


def test_nothing_is_lost_on_a_slow_line(page: Any, visit: Callable[..., Any], drawing: Path) -> None:
    """What is asked for while the answers to everything before are still on their way."""
    tab = visit(page, LATE).tab
    choose(tab, drawing, effort=1)
    tab.wait_for_function("document.querySelectorAll('.parts img').length == 4")
    choose_effort(tab, 0)
    tab.click("#start")
    tab.wait_for_selector("#certificate table")


def test_arrow_keys_choose_a_strength(page: Any, visit: Callable[..., Any], drawing: Path) -> None:
    tab = visit(page).tab
    choose(tab, drawing)
    tab.focus("#strength input:checked")
    for key, chosen in {"ArrowRight": "strong", "ArrowUp": "balanced", "ArrowLeft": "subtle"}.items():
        tab.keyboard.press(key)
        assert tab.evaluate("document.activeElement.value") == chosen
        tab.wait_for_selector(f"#strength input[value={chosen}][aria-checked=true]")
    assert tab.locator("#strength input:checked").count() == 1
    tab.click("#start")
    tab.wait_for_selector("#certificate table")
    assert "--strength subtle" in tab.input_value("#command textarea, #command input")
