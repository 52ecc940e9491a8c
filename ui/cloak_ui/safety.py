"""The guard before the page: only this machine's browser, only small requests, nothing from elsewhere."""

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Guard", "content_policy"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]
_FORM_BYTES = 1_000_000  # what the form around an uploaded file may take


def content_policy(embedders: str = "'none'") -> str:
    """Content security policy: everything comes from the page's own address.

    Gradio's scripts are partly inline and build templates, so that inline code and evaluation must be allowed; they
    cannot reach any other machine.

    Args:
        embedders: who may show the page in a frame.
    """
    return (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
        f"font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
        f"base-uri 'self'; form-action 'self'; frame-ancestors {embedders}"
    )


class _TooLargeError(Exception):
    pass


class Guard:
    """ASGI middleware that refuses in words what no visitor of this page would send.

    Args:
        app: the page.
        max_bytes: largest file that may be uploaded.
        hosts: names under which the page may be addressed, against DNS rebinding; None for any.
        policy: content security policy.
    """

    def __init__(self, app: Asgi, *, max_bytes: int, hosts: Collection[str] | None, policy: str) -> None:
        self.app, self.max_body, self.hosts = app, max_bytes + _FORM_BYTES, hosts
        self.headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", []), *self.headers]
            await send(message)

        try:
            await self.app(scope, self._counted(receive), send_guarded)
        except _TooLargeError:
            if not started:
                await _answer(send, *self._too_large())

    def _refusal(self, headers: dict[str, str]) -> tuple[int, str] | None:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if self.hosts is not None and host not in self.hosts:
            return 421, "This page answers only under the address that was printed when it was started."
        origin = headers.get("origin")
        if origin not in (None, "null") and urlsplit(origin).netloc != headers.get("host"):
            return 403, "Another site tried to use this page; that is not allowed."
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.max_body:
            return self._too_large()
        return None

    def _too_large(self) -> tuple[int, str]:
        megabytes = (self.max_body - _FORM_BYTES) / 1e6
        return 413, f"This is too large; files of up to {megabytes:.0f} MB are accepted. Export the picture smaller."

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body:
                raise _TooLargeError
            return message

        return counted


async def _answer(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
