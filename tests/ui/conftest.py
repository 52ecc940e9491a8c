"""A page as `cloak ui` serves it, in processes that are refused every other machine, and a browser to visit it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cloak.toy_pipelines import write_toy_pipeline

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# Also for the working process: every connection but to this machine is written down and refused.
_WATCH = """
import ipaddress, os, socket
_connect = socket.socket.connect
def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
        with open(os.environ["ARTCLOAK_TEST_OUTSIDE"], "a") as file:
            file.write(f"{address}\\n")
        raise OSError("no network here")
    return _connect(self, address)
socket.socket.connect = connect
"""


@dataclass
class Page:
    """A served page.

    Args:
        url: where it is.
        process: what serves it.
        outside: file with every other machine that it tried to reach.
    """

    url: str
    process: subprocess.Popen[bytes]
    outside: Path
    log: Path

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def serve_page(folder: Path, port: int, program: Sequence[str] = ("-m", "cloak.cli", "ui"), **variables: str) -> Page:
    """Start a page whose state lies in `folder`, with some more variables set, and wait until it answers."""
    (folder / "watch").mkdir(parents=True, exist_ok=True)
    (folder / "watch" / "sitecustomize.py").write_text(_WATCH)
    places = [folder / "watch", ROOT, ROOT / "ui", ROOT / "eval"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "ARTCLOAK_PAGE": str(folder / "state"),
        "ARTCLOAK_MODELS": str(folder / "models"),
        "ARTCLOAK_TEST_OUTSIDE": str(folder / "outside.txt"),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    log = folder / "log.txt"
    with log.open("ab") as output:
        command = [sys.executable, *program, "--port", str(port), "--no-open"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=folder)
    page = Page(f"http://127.0.0.1:{port}/", process, folder / "outside.txt", log)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(page.url, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return page
    raise RuntimeError(f"the page did not come up: {log.read_text()}")


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One page for all tests of this folder."""
    served = serve_page(tmp_path_factory.mktemp("page"), free_port())
    yield served
    served.stop()


@pytest.fixture
def serve(chromium: Any) -> Iterator[Callable[..., Page]]:
    """Starts a page in a folder, or an earlier one of that folder anew at its address."""
    started: list[Page] = []

    def start(folder: Path, earlier: Page | None = None, **options: Any) -> Page:
        folder.mkdir(exist_ok=True)
        port = free_port() if earlier is None else int(earlier.url.rstrip("/").rpartition(":")[2])
        started.append(serve_page(folder, port, **options))
        return started[-1]

    yield start
    for page in started:
        if page.process.poll() is None:
            page.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser without a screen."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; `make test` installs it where it can")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_SWITCHES)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One visitor's window; `requests` are all addresses that it asked for, `errors` what its scripts raised."""

    tab: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def ready(tab: Any) -> None:
    """Wait until a page that was opened or reloaded listens: it says how long the work takes as the last thing."""
    tab.wait_for_selector("#time p")


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """Opens a page as a new visitor, with some scripts before its own.

    At the end nothing may have come from elsewhere and no script may have failed.
    """
    visits: list[tuple[Visit, str]] = []
    contexts = []

    def open_page(page: Page, *scripts: str, **options: Any) -> Visit:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options})
        context.set_default_timeout(300_000)  # the machine may be busy with much else
        contexts.append(context)
        visitor = Visit(context.new_page())
        visitor.tab.on("request", lambda request: visitor.requests.append(request.url))
        visitor.tab.on("pageerror", lambda error: visitor.errors.append(str(error)))
        visits.append((visitor, page.url))
        for script in scripts:
            visitor.tab.add_init_script(script)
        visitor.tab.goto(page.url)
        ready(visitor.tab)
        return visitor

    yield open_page
    for context in contexts:
        context.close()
    for visitor, url in visits:
        outside = [address for address in visitor.requests if not address.startswith((url, "data:", "blob:"))]
        assert outside == []
        assert visitor.errors == []


@pytest.fixture(scope="session")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture with some structure."""
    path = tmp_path_factory.mktemp("art") / "small cat.png"
    with Image.open(ROOT / "examples" / "lake-painting.jpg") as picture:
        picture.crop((200, 100, 328, 196)).save(path)
    return path


@pytest.fixture(scope="session")
def serious_violations() -> Callable[[Any], list[str]]:
    """What axe-core finds wrong on a page."""
    axe = Path(pytest.importorskip("axe_core_python").__file__).parent / "axe.min.js"

    def find(tab: Any) -> list[str]:
        tab.evaluate(axe.read_text(encoding="utf-8"))
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['html'][:200]}"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    return find


@pytest.fixture(scope="session")
def proof_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page whose self-tests are over in a moment, with a stand-in for the texts of notices."""
    folder = tmp_path_factory.mktemp("proof")
    model = write_toy_pipeline(folder / "sd15", "sd15")
    program = (str(Path(__file__).with_name("proof_page.py")),)
    served = serve_page(folder, free_port(), program, ARTCLOAK_TEST_MODEL=str(model))
    yield served
    served.stop()
