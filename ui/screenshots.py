"""Makes the pictures that the documentation shows: `python ui/screenshots.py docs/page`; further words name tabs.

It needs Chromium and all extras. The self-test on them is cut short to a few minutes; everything else is as visitors
get it.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
LOOKS: dict[str, tuple[str, dict[str, int]]] = {
    "light": ("light", {"width": 1280, "height": 800}),
    "dark": ("dark", {"width": 1280, "height": 800}),
    "phone": ("light", {"width": 390, "height": 844}),
}
_MOST_BYTES = 150_000
_STEPS = 60  # of each mimic


def shorten() -> None:
    """Make self-tests of this process short."""
    from cloak_eval import selftest

    plan = selftest.plan_selftest
    settings = {"lora": {"steps": _STEPS}}
    update = {"mimic_settings": settings, "effort": "instant", "countermeasures": ("none",), "posted_side": 256}
    selftest.plan_selftest = lambda *args, **options: plan(*args, **options).model_copy(update=update)


@contextmanager
def served() -> Iterator[str]:
    """The address of a page that is open meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    folder = tempfile.mkdtemp()
    environment = os.environ | {"ARTCLOAK_PAGE": folder, "ARTCLOAK_SHORT": "1"}
    process = subprocess.Popen([sys.executable, __file__, "--port", str(port), "--no-open"], env=environment)
    try:
        for _ in range(240):
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


def open_tab(tab: Any, name: str) -> None:
    """Bring a tab to the front, also from the menu of those for which a phone has no room."""
    heading = tab.get_by_role("tab", name=name, exact=True)
    if not heading.is_visible():
        tab.locator(".overflow-menu > button").click()
        heading = tab.locator(".overflow-dropdown").get_by_text(name, exact=True)
    heading.click()
    tab.wait_for_timeout(1000)


def wait(tab: Any, condition: str) -> None:
    """Until a condition holds; asked seldom, as a browser that looks at every frame takes time from the computing."""
    tab.wait_for_function(condition, polling=1000)


def half(name: str, folder: Path) -> Path:
    """An example at half its size, as it is quicker and makes smaller pictures of the page."""
    with Image.open(EXAMPLES / name) as picture:
        picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS).save(folder / name)
    return folder / name


def protect(tab: Any) -> None:
    """Protect an example with the least effort."""
    with tempfile.TemporaryDirectory() as folder:
        tab.set_input_files("#picture input[type=file]", half("lake-painting.jpg", Path(folder)))
        tab.wait_for_selector("#facts p")
    wait(tab, "document.querySelectorAll('.parts img').length == 4")
    set_effort(tab, "#effort", 0)
    tab.click("#start")
    wait(tab, "document.querySelector('#certificate table') !== null")
    wait(tab, "[...document.images].every((image) => image.complete)")


def set_effort(tab: Any, slider: str, effort: int) -> None:
    """0 to 3."""
    tab.locator(f"{slider} input[type=number]").fill(str(effort))
    tab.keyboard.press("Tab")


def gallery(tab: Any) -> None:
    """Protect three files with the least effort, one of which is no picture."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = [half(name, Path(folder)) for name in ("fox-cartoon.png", "planet-poster.webp")]
        tab.set_input_files("#gallery-files input[type=file]", [*pictures, EXAMPLES / "README.md"])
        wait(tab, "document.querySelectorAll('#gallery-files .file-preview tr').length == 3")
    set_effort(tab, "#gallery-effort", 0)
    tab.click("#gallery-start")
    wait(tab, "document.querySelectorAll('#gallery-table tr.done, #gallery-table tr.failed').length == 3")
    tab.wait_for_selector("#gallery-pack")


def prove(tab: Any) -> None:
    """A self-test on parts of the example, up to the quiz."""
    with tempfile.TemporaryDirectory() as folder, Image.open(EXAMPLES / "lake-painting.jpg") as picture:
        side = min(picture.size) // 2
        places = [(x * (picture.width - side) // 4, y * (picture.height - side)) for x in range(5) for y in range(2)]
        files = [Path(folder) / f"part {index}.png" for index in range(len(places))]
        for file, (x, y) in zip(files, places, strict=True):
            picture.crop((x, y, x + side, y + side)).save(file)
        tab.set_input_files("#proof-files input[type=file]", files)
        wait(tab, f"document.querySelectorAll('#proof-files .file-preview tr').length == {len(files)}")
        tab.click("#proof-start")
        wait(tab, "document.querySelector('#proof-verdict h2') !== null")


def attack(tab: Any) -> None:
    """Attack the pair that was made on the first tab."""
    tab.click("#attack-take")
    wait(tab, "document.querySelectorAll('#attack-original table, #attack-cloaked table').length == 2")
    tab.click("#attack-start")
    wait(tab, "document.querySelectorAll('#attack-bars tbody tr').length == 8")
    tab.wait_for_timeout(2000)


def notices(tab: Any) -> None:
    """The texts for a site."""
    tab.fill("#notices-site input, #notices-site textarea", "https://example.org")
    tab.click("#notices-make")
    tab.wait_for_selector(".notice pre")


TABS: dict[str, Callable[[Any], None]] = {
    "Protect": protect,
    "Gallery": gallery,
    "Prove it": prove,
    "Attack it": attack,
    "Models": lambda tab: tab.wait_for_selector("#models-table td"),
    "Notices": notices,
}


def shoot(tab: Any, path: Path) -> None:
    """A small PNG file of the whole tab."""
    tab.evaluate("scrollTo(0, 0)")
    tab.mouse.move(0, 0)
    tab.screenshot(path=path, full_page=True)
    with Image.open(path) as shot:
        image = shot.convert("RGB")
    scale = 1.0
    while True:
        size = (round(scale * image.width), round(scale * image.height))
        small = image if scale == 1 else image.resize(size, Image.Resampling.LANCZOS)
        small.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        excess = path.stat().st_size / _MOST_BYTES
        if excess <= 1:
            return
        scale *= 0.97 * excess**-0.5


def main(folder: Path, names: list[str]) -> None:
    """Write the pictures of some tabs, or of all, to a folder."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_context(locale="en-GB", viewport=LOOKS["light"][1], color_scheme="light").new_page()
        tab.set_default_timeout(1_800_000)
        tab.goto(url)
        tab.wait_for_selector("#start")
        for name in names or TABS:
            open_tab(tab, name)
            TABS[name](tab)
            for look, (scheme, size) in LOOKS.items():
                tab.emulate_media(color_scheme=scheme)
                tab.set_viewport_size(size)
                tab.wait_for_timeout(1000)
                shoot(tab, folder / f"{name.lower().replace(' ', '-')}-{look}.png")
                wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
                sys.stderr.write(f"{name}, {look}{f', {wide} px too wide' if wide > 0 else ''}\n")
            tab.set_viewport_size(LOOKS["light"][1])
            tab.emulate_media(color_scheme="light")
            tab.wait_for_timeout(500)
        browser.close()


if os.environ.get("ARTCLOAK_SHORT"):  # also in the working process, which begins by running this file again
    shorten()
if __name__ == "__main__":
    if os.environ.get("ARTCLOAK_SHORT"):
        from cloak.cli.main import run

        sys.exit(run(["ui", *sys.argv[1:]]))
    main(Path(sys.argv[1]), sys.argv[2:])
