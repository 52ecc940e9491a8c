"""The test suite itself: tests cannot reach other machines, loopback works."""

import os
import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.invalid"])
def test_other_machines_cannot_be_reached(host: str) -> None:
    with pytest.raises(RuntimeError, match="must not use the network"):
        socket.create_connection((host, 80), timeout=1)


def test_loopback_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()[:2], timeout=5).close()


def test_models_of_the_user_are_out_of_sight() -> None:
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert "home" in os.environ["ARTCLOAK_MODELS"]
