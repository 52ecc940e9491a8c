"""What every test gets: no network but loopback, a fixed number of threads, none of the user's settings or models."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

THREADS = 1  # networks this small gain nothing from more and lose much where other work keeps the cores busy

os.environ["HF_HUB_OFFLINE"] = "1"  # read by huggingface_hub when it is imported
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # read by torch in child processes

hypothesis.settings.register_profile("fixed", derandomize=True)
hypothesis.settings.register_profile("long", max_examples=10_000, print_blob=True)
hypothesis.settings.load_profile("fixed")  # the same examples everywhere; --hypothesis-profile long searches for others


class NetworkBlockedError(RuntimeError):
    """A test tried to reach another machine."""


def _is_local(host: Any) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.split("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(host: Any) -> None:
    if not _is_local(host):
        raise NetworkBlockedError(f"tests must not use the network, tried {host!r}")


@pytest.fixture(autouse=True, scope="session")
def _blocked_network() -> Iterator[None]:
    """Only loopback addresses and local sockets can be reached."""
    patch = pytest.MonkeyPatch()
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(address[0])
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(address[0])
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse(host)
        return getaddrinfo(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def _fixed_threads() -> None:
    """Sums are split alike on every machine."""
    torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting, model or colour choice of the person who runs the tests reaches them."""
    home: Path = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("ARTCLOAK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ARTCLOAK_MODELS", str(home / "models"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home / name.lower()))
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
