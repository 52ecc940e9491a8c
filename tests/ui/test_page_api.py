"""What programs get from the page, and what those get who want to hurt it."""

import hashlib
import http.client
import io
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

gradio_client = pytest.importorskip("gradio_client")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def client(page: Any) -> Any:
    return gradio_client.Client(page.url, verbose=False, download_files=True)


def png_header(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG file that claims a size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 120, 150)).save(stream, "JPEG")
    return stream.getvalue()


HOSTILE = {
    "300 megapixels.png": png_header(20_000, 15_000),
    "bomb.png": png_header(9_000, 9_000, zlib.compress(bytes(40_000_000))),
    "drawing.svg.png": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "page.jpg": b"<html><script>alert(1)</script></html>",
    "archive.webp": b"PK\x03\x04" + bytes(200),
    "cut.jpg": jpeg()[:300],
    "empty.png": b"",
}


def protect(client: Any, picture: Path, **settings: Any) -> tuple[Path, dict[str, Any]]:
    answer = client.predict(gradio_client.handle_file(picture), effort="instant", api_name="/protect", **settings)
    return Path(answer[0]), answer[1]


def test_documented_endpoint_gives_picture_and_certificate(page: Any, client: Any, drawing: Path) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(endpoints) == ["/protect"]
    cloaked, certificate = protect(client, drawing, strength="subtle", seed=3)
    assert certificate["output"]["sha256"] == hashlib.sha256(cloaked.read_bytes()).hexdigest()
    assert certificate["input"]["sha256"] == hashlib.sha256(drawing.read_bytes()).hexdigest()
    assert (certificate["config"]["strength"], certificate["seed"]) == ("subtle", 3)
    assert not page.outside.exists()


def test_hostile_uploads_are_refused_in_words(client: Any, drawing: Path, tmp_path: Path) -> None:
    for name, data in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
        begin = time.monotonic()
        with pytest.raises(Exception, match=r"\w+ \w+ \w+") as error:
            protect(client, tmp_path / name)
        assert "Traceback" not in str(error.value), name
        assert "artcloak-page" not in str(error.value), name  # the folder of the job
        assert "report" not in str(error.value), (name, str(error.value))  # what an unexpected error would ask for
        assert time.monotonic() - begin < 5, name
    cloaked, _ = protect(client, drawing)
    assert cloaked.is_file()


def status(page: Any, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> int:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(page.url).netloc, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        return connection.getresponse().status
    finally:
        connection.close()


def test_nothing_but_own_results_can_be_fetched(page: Any, client: Any, drawing: Path) -> None:
    protect(client, drawing)
    jobs = next(page.outside.parent.glob("artcloak-page-*")) / "jobs"
    others = next(jobs.glob("*/*.cloaked.png"))
    secrets = ["/etc/passwd", str(others), f"{others.parent}/../../jobs/{others.parent.name}/{others.name}"]
    secrets += ["../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", f"{page.outside.parent}/log.txt"]
    for secret in secrets:
        assert status(page, "GET", f"/gradio_api/file={secret.replace(' ', '%20')}") in (403, 404), secret


def test_only_this_machines_own_browser_is_answered(page: Any) -> None:
    assert status(page, "GET", "/", {"Host": "evil.example"}) == 421
    assert status(page, "POST", "/gradio_api/upload", {"Origin": "https://evil.example"}) == 403
    assert status(page, "POST", "/gradio_api/upload", {"Content-Length": "99999999999"}) == 413
    with urllib.request.urlopen(page.url) as answer:
        assert "connect-src 'self'" in answer.headers["content-security-policy"]


def memory(page: Any) -> int:
    """Resident memory of the page and of what it started, kilobytes."""
    total, processes = 0, [page.process.pid]
    while processes:
        process = processes.pop()
        text = Path(f"/proc/{process}/status").read_text()
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))
        processes += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    return total


def test_thirty_at_once_each_get_their_own(page: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = [tmp_path / f"{index}.png" for index in range(30)]
    for picture in pictures:
        Image.fromarray(draw.integers(0, 255, (16, 16, 3), np.uint8)).save(picture)

    def visitor(picture: Path) -> str:
        client = gradio_client.Client(page.url, verbose=False)
        try:
            cloaked, certificate = protect(client, picture)
        except Exception as error:
            return str(error)
        assert certificate["input"]["sha256"] == hashlib.sha256(picture.read_bytes()).hexdigest()
        assert certificate["output"]["sha256"] == hashlib.sha256(cloaked.read_bytes()).hexdigest()
        return "own"

    before = memory(page) if Path("/proc").is_dir() else 0
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(visitor, pictures))
    assert answers.count("own") > 0
    assert all(answer == "own" or "waiting" in answer for answer in answers), set(answers)
    if before:
        assert memory(page) < 1.15 * before
