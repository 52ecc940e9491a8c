"""`cloak ui`: the page, in a browser on this machine."""

import os
import signal
import sys
import webbrowser
from typing import Annotated

from cyclopts import Parameter

from cloak.cli.console import say
from cloak.cli.machine import version_of
from cloak.errors import MissingExtraError

__all__ = ["ui"]


def ui(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    auth: Annotated[str | None, Parameter(env_var="ARTCLOAK_AUTH", show_env_var=True)] = None,
    open_page: Annotated[bool, Parameter(name="--open", negative="--no-open")] = True,
) -> int:
    """Open the page: drop pictures, see what each strength looks like, protect them, see what was done.

    It is served to this machine only, and works without internet. Ctrl-C ends it.

    Args:
        host: Address to listen on; one that other machines can reach demands --auth.
        port: Port to listen on.
        auth: NAME:PASSWORD that visitors must give.
        open_page: Open it in the browser at once.
    """
    if version_of("gradio") is None:
        raise MissingExtraError("gradio", "ui")
    from cloak_ui.server import Address, parse_auth, serve

    address = Address(host=host, port=port, auth=parse_auth(auth))
    signal.set_wakeup_fd(-1)  # the server answers Ctrl-C itself, and needs a moment to delete what visitors left
    say(f"The page is at {address.url} (end it with Ctrl-C).")
    serve(address, when_ready=lambda: _open(address.url) if open_page else None)
    return 0


def _open(url: str) -> None:
    """In a graphical browser only; one in the terminal would take it over."""
    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)
