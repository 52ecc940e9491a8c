"""A server on this machine that speaks the model hub's protocol, and the faults that a real one has."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cloak.surrogates import catalogue_entry
from cloak.surrogates import hub as transport


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass
class Hub:
    """What the server has and what is wrong with it.

    Args:
        files: contents by repository and path.
        commits: revision by repository.
        cuts: bytes after which an answer with that file is cut, one entry used up by each request.
        stalls: files of which only the first half is sent until the event is set.
        flipped: files of which one byte is sent wrong.
        ignores_ranges: answer with the whole file whatever was asked for.
        refusal: status and error code of every answer, None for none.
        seen: method, path and Range of each request.
    """

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    stalls: dict[str, threading.Event] = field(default_factory=dict)
    flipped: set[str] = field(default_factory=set)
    ignores_ranges: bool = False
    refusal: tuple[int, str] | None = None
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""

    def offer(self, name: str, files: dict[str, bytes], commit: str | None = None) -> None:
        """Give the catalogue's model `name` these files, at its pinned revision."""
        entry = catalogue_entry(name)
        self.files[str(entry.hub_id)] = files
        self.commits[str(entry.hub_id)] = commit or entry.revision or "c" * 40

    def ranges(self, path: str) -> list[str | None]:
        return [asked for method, place, asked in self.seen if method == "GET" and place.endswith(path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub, path = self.hub, unquote(self.path)
        hub.seen.append((self.command, path, self.headers.get("Range")))
        if hub.refusal:
            return self._refuse(*hub.refusal)
        if path.startswith("/cdn/"):
            digest = path.removeprefix("/cdn/")
            found = {
                hashlib.sha256(data).hexdigest(): (name, data) for f in hub.files.values() for name, data in f.items()
            }
            return self._send(*found[digest], {}, with_body=with_body)
        owner, name, resolve, revision, file = path.lstrip("/").split("/", 4)
        files, commit = hub.files.get(f"{owner}/{name}"), hub.commits.get(f"{owner}/{name}", "")
        if resolve != "resolve" or files is None:
            return self._refuse(401, "RepoNotFound")
        if revision not in {"main", commit}:
            return self._refuse(404, "RevisionNotFound")
        if file not in files:
            return self._refuse(404, "EntryNotFound")
        return self._resolve(file, files[file], commit, with_body=with_body)

    def _resolve(self, file: str, data: bytes, commit: str, *, with_body: bool) -> None:
        headers = {"X-Repo-Commit": commit}
        if not file.endswith(".safetensors"):
            return self._send(file, data, {**headers, "ETag": f'"{git_sha1(data)}"'}, with_body=with_body)
        digest = hashlib.sha256(data).hexdigest()
        self.send_response(302)  # large files lie elsewhere, on another host
        headers |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(data)), "Content-Length": "0"}
        headers["Location"] = f"http://localhost:{self.server.server_address[1]}/cdn/{digest}"
        for key, value in headers.items():
            self.send_header(key, value)
        return self.end_headers()

    def _send(self, file: str, data: bytes, headers: dict[str, str], *, with_body: bool) -> None:
        if file in self.hub.flipped:
            data = data[:-1] + bytes([data[-1] ^ 1])
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and not self.hub.ignores_ranges else 0
        body = data[start:]
        self.send_response(206 if start else 200)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body and file in self.hub.stalls:
            self.wfile.write(body[: len(body) // 2])
            self.hub.stalls[file].wait(30)
            self.close_connection = True
        elif with_body:
            cuts = self.hub.cuts.get(file)
            self.wfile.write(body[: cuts.pop(0)] if cuts else body)
            self.close_connection = cuts is not None

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The server, running; huggingface_hub is pointed at it and knows no cache, token or proxy."""
    import huggingface_hub
    from huggingface_hub import constants

    state = Hub()
    handler = type("Handler", (_Handler,), {"hub": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("HF_ENDPOINT", f"{state.url}/")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(transport, "PAUSE_SECONDS", 0.0)
    try:
        yield state
    finally:
        huggingface_hub.close_session()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@pytest.fixture
def models_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models are pulled to; not there yet."""
    folder = tmp_path / "models"
    monkeypatch.setenv("ARTCLOAK_MODELS", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A narrow autoencoder of the structure of taesd, as a folder on the hub would hold it."""
    import diffusers
    import torch

    folder = tmp_path_factory.mktemp("tiny")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        diffusers.AutoencoderTiny(
            encoder_block_out_channels=(16,) * 4,
            decoder_block_out_channels=(16,) * 4,
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        ).save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}
