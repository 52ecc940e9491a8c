"""Serves the page on this machine; on any other address only with a name and a password."""

import contextlib
import ipaddress
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from cloak.errors import UsageError
from cloak_ui.limits import Limits

if TYPE_CHECKING:
    from fastapi import FastAPI

    from cloak_ui.jobs import Desk

__all__ = ["Address", "create_server", "free_port", "is_loopback", "parse_auth", "serve", "state_folder"]

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Address:
    """Where the page is served and for whom.

    Args:
        host: address to listen on.
        port: port to listen on.
        auth: name and password, None for none.
        public: True lifts the demand for a password; for a demo behind a host's own gate, not offered by the command.
        embedders: who may show the page in a frame, as in a content security policy.

    Raises:
        UsageError: other machines could reach a page without password.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    auth: tuple[str, str] | None = None
    public: bool = False
    embedders: str = field(default="'none'")

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and self.auth is None and not self.public:
            raise UsageError(
                f"On {self.host} other machines could reach the page; give --auth NAME:PASSWORD, or leave --host out."
            )

    @property
    def url(self) -> str:
        """What a person opens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_auth(text: str | None) -> tuple[str, str] | None:
    """Name and password out of "NAME:PASSWORD".

    Raises:
        UsageError: one of them is missing, or the password is shorter than 8 characters.
    """
    if text is None:
        return None
    name, _, password = text.partition(":")
    if not name or len(password) < 8:
        raise UsageError("--auth takes NAME:PASSWORD with a password of at least 8 characters.")
    return name, password


def free_port(host: str, port: int) -> None:
    """Raise UsageError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} on {host} cannot be used ({error.strerror}); another page may be open already. "
                f"Give another one, for example --port {port + 1}."
            ) from error


def state_folder() -> Path:
    """What outlives a restart of the page: $ARTCLOAK_PAGE, else a folder of this user."""
    chosen = os.environ.get("ARTCLOAK_PAGE")
    return Path(chosen) if chosen else platformdirs.user_state_path("artcloak", appauthor=False) / "page"


def create_server(
    address: Address,
    *,
    folder: Path,
    kept: Path,
    limits: Limits | None = None,
    when_ready: Callable[[], None] = lambda: None,
) -> "FastAPI":
    """The page as an ASGI application.

    Args:
        address: where it will be served.
        folder: where jobs and uploads of this run lie; deleted at the end.
        kept: where galleries lie, which outlive a restart.
        limits: what is refused.
        when_ready: called once visitors can come.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "files")
    import gradio
    from fastapi import FastAPI

    from cloak_ui.app import SCRIPT, STYLE, create_app, theme
    from cloak_ui.galleries import Galleries
    from cloak_ui.jobs import Desk
    from cloak_ui.languages import browser_strings
    from cloak_ui.safety import Guard, content_policy

    limits = limits or Limits()
    desk = Desk(folder / "jobs", limits)
    galleries = Galleries(desk, kept / "galleries")
    hosts = _LOOPBACK_NAMES if is_loopback(address.host) else None
    lifespan = _lifespan(desk, folder, when_ready)
    server = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    strings = browser_strings()
    gradio.mount_gradio_app(
        server,
        create_app(desk, galleries, strings, secret=_secret(kept), public=address.public),
        "/",
        server_name=address.host,
        server_port=address.port,
        auth=address.auth,
        max_file_size=limits.max_bytes,
        footer_links=["api", "settings"],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        i18n=strings,
        theme=theme(),
        css_paths=[STYLE],
        head=f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>",
    )
    server.add_middleware(Guard, max_bytes=limits.max_bytes, hosts=hosts, policy=content_policy(address.embedders))
    return server


def _lifespan(
    desk: "Desk", folder: Path, when_ready: Callable[[], None]
) -> Callable[["FastAPI"], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_: "FastAPI") -> AsyncIterator[None]:
        threading.Timer(0.5, when_ready).start()  # the port is opened right after this
        yield
        desk.close()
        shutil.rmtree(folder, ignore_errors=True)  # here, as the signal that ended the server ends the process next

    return lifespan


def _secret(folder: Path) -> str:
    """What browsers' memories are encrypted with; made once for each machine."""
    path = folder / "secret.txt"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
    return path.read_text(encoding="ascii")


def serve(address: Address, *, limits: Limits | None = None, when_ready: Callable[[], None] = lambda: None) -> None:
    """Serve the page until it is interrupted; everything of this run but galleries is deleted afterwards."""
    import uvicorn

    free_port(address.host, address.port)
    folder = Path(tempfile.mkdtemp(prefix="artcloak-page-"))
    server = create_server(address, folder=folder, kept=state_folder(), limits=limits, when_ready=when_ready)
    uvicorn.run(server, host=address.host, port=address.port, log_level="error", timeout_graceful_shutdown=1)
