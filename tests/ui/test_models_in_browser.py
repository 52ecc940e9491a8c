"""Fetching and removing a model through the page, from a hub on this machine."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hub.conftest import hub, tiny_files  # noqa: F401 (fixtures)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
PRESENT = "[...document.querySelectorAll('#models-table tr.present th')].map((cell) => cell.innerText).join()"


def choose(tab: Any, name: str) -> None:
    tab.locator("#models-choice input").click()
    tab.get_by_role("option", name=re.compile(rf"^{name}\b(?!-)")).click()


def test_fetch_remove_and_what_the_hub_lacks(
    hub: Any,  # noqa: F811
    tiny_files: dict[str, bytes],  # noqa: F811
    serve: Callable[..., Any],
    visit: Callable[..., Any],
    tmp_path: Path,
) -> None:
    hub.offer("taesd", tiny_files)
    cache = {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "home")}
    page = serve(tmp_path / "page", HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.url, **cache)
    tab = visit(page).tab
    tab.get_by_role("tab", name="Models").click()
    choose(tab, "taesd")
    tab.get_by_role("button", name="Fetch").click()
    tab.wait_for_function("document.querySelector('#models-news').innerText.includes('is on this computer now')")
    pulled = tmp_path / "page" / "models" / "taesd"
    assert all((pulled / name).read_bytes() == data for name, data in tiny_files.items())
    tab.wait_for_function(f"{PRESENT} == 'taesd'")
    tab.get_by_role("button", name="Remove").click()
    tab.wait_for_function("document.querySelector('#models-news').innerText.includes('was removed')")
    assert not pulled.exists()
    tab.wait_for_function(f"{PRESENT} == ''")
    choose(tab, "taesdxl")
    tab.get_by_role("button", name="Fetch").click()
    tab.wait_for_selector("#models-news .alert")
    assert "The hub has no" in tab.inner_text("#models-news")
    assert not page.outside.exists()
