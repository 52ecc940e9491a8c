"""The tabs "Prove it" and "Notices" in a real browser."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cloak.testing import toy_picture
from tests.ui.conftest import ready

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def own_pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("mine")
    for index in range(8):
        samples = (toy_picture(64, 64, seed=index)[0] * 255).byte().permute(1, 2, 0)
        Image.fromarray(torch.Tensor.numpy(samples)).save(folder / f"{index}.png")
    return sorted(folder.iterdir())


NOTICES = ["robots.txt", "ai.txt", ".well-known/tdmrep.json", "meta-tags.html", "no-ai.html"]


def give(tab: Any, pictures: list[Path]) -> None:
    tab.set_default_timeout(300_000)  # mimics are trained, if small ones
    tab.get_by_role("tab", name="Prove it").click()
    tab.set_input_files("#proof-files input[type=file]", pictures)
    tab.wait_for_function(f"document.querySelectorAll('#proof-files .file-preview tr').length == {len(pictures)}")
    tab.click("#proof-start")


def test_selftest_reload_quiz_verdict_report(
    proof_page: Any,
    visit: Callable[..., Any],
    serious_violations: Callable[[Any], list[str]],
    own_pictures: list[Path],
    tmp_path: Path,
) -> None:
    tab = visit(proof_page, color_scheme="dark").tab
    give(tab, own_pictures)
    tab.wait_for_selector("#proof-now-clean img")
    assert "Mimic" in tab.inner_text("#proof-progress")
    tab.wait_for_timeout(1000)  # the button fades
    assert serious_violations(tab) == []
    tab.reload()
    ready(tab)
    tab.get_by_role("tab", name="Prove it").click()
    tab.wait_for_selector("#proof-results")
    tab.click("#proof-answer")
    assert "both questions" in tab.inner_text("#proof-quiz-text .alert")
    for pair in range(1, 9):
        tab.wait_for_function(f"document.querySelector('#proof-quiz-text').innerText.includes('Pair {pair} of 8')")
        tab.wait_for_function("document.querySelector('#proof-style :checked, #proof-better :checked') === null")
        for question in ("style", "better"):
            tab.locator(f"#proof-{question}").get_by_label("A", exact=True).check()
        tab.click("#proof-answer")
    tab.wait_for_selector("#proof-score p")
    assert "of 8 pairs" in tab.inner_text("#proof-score")
    assert "What the program found" in tab.inner_text("#proof-verdict")
    assert serious_violations(tab) == []
    with tab.expect_download() as download:
        tab.click("#proof-page")
    download.value.save_as(tmp_path / "report.html")
    assert "Self-test" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not proof_page.outside.exists()


def test_too_few_and_unreadable_pictures_are_refused_and_cancel_stops(
    proof_page: Any, visit: Callable[..., Any], own_pictures: list[Path], tmp_path: Path
) -> None:
    tab = visit(proof_page).tab
    give(tab, own_pictures[:3])
    tab.wait_for_selector("#proof-message .alert")
    assert "you gave 3" in tab.inner_text("#proof-message")
    (tmp_path / "bad one.png").write_text("this is no picture")
    tab.reload()
    ready(tab)
    give(tab, [*own_pictures, tmp_path / "bad one.png"])
    tab.wait_for_selector("#proof-message .alert")
    assert "bad one.png" in tab.inner_text("#proof-message")
    tab.reload()
    ready(tab)
    give(tab, own_pictures)
    tab.wait_for_selector("#proof-progress progress")
    tab.click("#proof-cancel")
    tab.wait_for_selector("#proof-message .alert")
    assert "Cancelled" in tab.inner_text("#proof-message")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_notices_are_shown_copied_and_packed(
    proof_page: Any,
    visit: Callable[..., Any],
    serious_violations: Callable[[Any], list[str]],
    scheme: str,
    tmp_path: Path,
) -> None:
    visitor = visit(proof_page, color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"])
    tab = visitor.tab
    tab.get_by_role("tab", name="Notices").click()
    tab.fill("#notices-site input, #notices-site textarea", "https://example.org")
    tab.click("#notices-make")
    tab.wait_for_selector(".notice pre")
    assert tab.locator(".notice h3").all_inner_texts() == NOTICES
    tab.locator(".notice .copy").first.click()
    tab.wait_for_function("document.querySelector('.notice .copy').innerText == 'Copied'")
    assert "User-agent: GPTBot" in tab.evaluate("navigator.clipboard.readText()")
    assert serious_violations(tab) == []
    with tab.expect_download() as download:
        tab.click("#notices-pack")
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        assert packed.namelist() == NOTICES


def test_prove_it_names_the_command_that_brings_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    gradio = pytest.importorskip("gradio")
    from cloak_ui import attacking, extras
    from cloak_ui.languages import browser_strings
    from cloak_ui.proof_tab import build_proof_tab

    monkeypatch.setattr(extras, "_EVAL", ("no_such_package",))
    assert extras.eval_missing()
    assert attacking.ROUND_TRIP in attacking.known_attacks()
    with gradio.Blocks(analytics_enabled=False):
        strings: Any = browser_strings()
        widgets = build_proof_tab(None, None, None, strings, unavailable="proof_missing")
    assert list(widgets) == ["unavailable"]
    assert "pip install 'artcloak[eval]'" in strings.translations["en"]["proof_missing"]
