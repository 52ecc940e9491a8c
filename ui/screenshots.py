"""Makes the pictures that the documentation shows: `python ui/screenshots.py docs/page` (needs Chromium)."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "examples" / "lake-painting.jpg"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


@contextmanager
def served() -> Iterator[str]:
    """The address of a page that is open meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "cloak.cli", "ui", "--port", str(port), "--no-open"]
    folder = tempfile.mkdtemp()
    process = subprocess.Popen(command, env=os.environ | {"ARTCLOAK_PAGE": folder})
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(url).close()
                break
            except OSError:
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def protect(tab: Page, effort: int) -> None:
    """Protect the example with an effort, 0 to 3, and wait for the end."""
    tab.set_input_files("#picture input[type=file]", PICTURE)
    tab.wait_for_function("document.querySelectorAll('.parts img').length == 4")
    tab.locator("#effort input[type=number]").fill(str(effort))
    tab.keyboard.press("Tab")
    tab.click("#start")
    tab.wait_for_selector("#certificate table")
    tab.wait_for_function("[...document.images].every((image) => image.complete)")


def gallery(tab: Page) -> None:
    """Protect three files with the least effort, one of which is no picture."""
    tab.get_by_role("tab", name="Gallery").click()
    files = [PICTURE, PICTURE.with_name("README.md"), PICTURE.with_name("planet-poster.webp")]
    tab.set_input_files("#gallery-files input[type=file]", files)
    tab.wait_for_function("document.querySelectorAll('#gallery-files .file-preview tr').length == 3")
    tab.locator("#gallery-effort input[type=number]").fill("0")
    tab.keyboard.press("Tab")
    tab.click("#gallery-start")
    tab.wait_for_function("document.querySelectorAll('#gallery-table tr.done, #gallery-table tr.failed').length == 3")
    tab.wait_for_selector("#gallery-pack")


def attack(tab: Page) -> None:
    """Attack the pair that was made on the first tab."""
    tab.get_by_role("tab", name="Attack it").click()
    tab.click("#attack-take")
    tab.wait_for_function("document.querySelectorAll('#attack-original table, #attack-cloaked table').length == 2")
    tab.click("#attack-start")
    tab.wait_for_function("document.querySelectorAll('#attack-bars tbody tr').length == 8")
    tab.wait_for_timeout(2000)


def shoot(tab: Page, folder: Path, look: str) -> None:
    """One picture of each tab; as JPEG, since the art on it would make large PNG files."""
    tab.evaluate("scrollTo(0, 0)")
    for heading in tab.get_by_role("tab").all():
        heading.click()
        tab.wait_for_timeout(1000)
        name = heading.inner_text().lower().replace(" ", "-")
        tab.screenshot(path=folder / f"{name}-{look}.jpg", full_page=True, quality=80)


def main(folder: Path, effort: int = 1) -> None:
    """Write the pictures to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for look, options in LOOKS.items():
            context = browser.new_context(locale="en-GB", **options)
            tab = context.new_page()
            tab.set_default_timeout(600_000)
            tab.goto(url)
            tab.wait_for_selector("#start")
            protect(tab, effort)
            gallery(tab)
            attack(tab)
            shoot(tab, folder, look)
            context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
