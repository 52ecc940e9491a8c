"""Many pictures in a real browser: a bad one among good ones, a restart of the server in the middle, one ZIP."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.ui.conftest import ready

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_bad_among_good_then_restart_then_everything_as_zip(
    serve: Callable[..., Any], visit: Callable[..., Any], drawing: Path, tmp_path: Path
) -> None:
    with Image.open(drawing) as picture:
        picture.save(tmp_path / "second.jpg")
        picture.resize((640, 480)).save(tmp_path / "third.png")  # takes long enough to stop the server in the middle
    (tmp_path / "first.png").write_bytes(drawing.read_bytes())
    (tmp_path / "bad.png").write_text("this is no picture")
    page = serve(tmp_path / "page")
    tab = visit(page).tab
    tab.get_by_role("tab", name="Gallery").click()
    names = ["first.png", "bad.png", "second.jpg", "third.png"]
    tab.set_input_files("#gallery-files input[type=file]", [tmp_path / name for name in names])
    tab.wait_for_function("document.querySelectorAll('#gallery-files .file-preview tr').length == 4")
    tab.locator("#gallery-effort input[type=number]").fill("0")
    tab.keyboard.press("Tab")
    tab.click("#gallery-start")
    tab.wait_for_selector("#gallery-table tr.done")
    page.stop()
    assert list((tmp_path / "page").glob("artcloak-page-*")) == []  # uploads and jobs of that run are gone
    page = serve(tmp_path / "page", page)
    tab.reload()
    ready(tab)
    tab.get_by_role("tab", name="Gallery").click()
    tab.wait_for_selector("#gallery-table tr.done")
    tab.click("#gallery-resume")
    tab.wait_for_function("document.querySelectorAll('#gallery-table tr.waiting').length == 0")
    tab.wait_for_selector("#gallery-pause", state="hidden")
    states = tab.locator("#gallery-table tbody tr").evaluate_all("rows => rows.map(row => row.className)")
    assert sorted(states) == ["done", "done", "done", "failed"]
    assert "bad.png" in tab.inner_text("#gallery-table tr.failed")
    tab.click("#gallery-pack")
    with tab.expect_download() as download:
        tab.click("#gallery-archive a")
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        found = packed.namelist()
    expected = ["first.cloaked.png", "second.cloaked.jpg", "third.cloaked.png"]
    assert sorted(found) == sorted([*expected, *(f"{Path(name).stem}.json" for name in expected)])
