"""Makes the pictures that the documentation shows: `python ui/screenshots.py docs/page` (needs Chromium)."""

import shutil
import socket
import subprocess
import sys
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
    process = subprocess.Popen([sys.executable, "-m", "cloak.cli", "ui", "--port", str(port), "--no-open"])
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


def protect(tab: Page, effort: int) -> None:
    """Protect the example with an effort, 0 to 3, and wait for the end."""
    tab.set_input_files("#picture input[type=file]", PICTURE)
    tab.wait_for_function("document.querySelectorAll('.parts img').length == 4")
    tab.locator("#effort input[type=number]").fill(str(effort))
    tab.keyboard.press("Tab")
    tab.click("#start")
    tab.wait_for_selector("#certificate table", timeout=600_000)
    tab.wait_for_function("[...document.images].every((image) => image.complete)")


def shoot(tab: Page, folder: Path, look: str) -> None:
    """One picture of each tab."""
    tab.evaluate("scrollTo(0, 0)")
    for heading in tab.get_by_role("tab").all():
        heading.click()
        tab.wait_for_timeout(800)
        name = (heading.inner_text()).lower().replace(" ", "-")
        tab.screenshot(path=folder / f"{name}-{look}.png", full_page=True)


def main(folder: Path, effort: int = 2) -> None:
    """Write the pictures to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for look, options in LOOKS.items():
            context = browser.new_context(locale="en-GB", **options)
            tab = context.new_page()
            tab.goto(url)
            tab.wait_for_selector("#start")
            protect(tab, effort)
            shoot(tab, folder, look)
            context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
