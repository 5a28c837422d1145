"""What browsers must not do with our answers: guess types, show the page in a frame, load or run what is not ours."""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>([^<]*(?:<(?!/script>)[^<]*)*)</script>", re.IGNORECASE)
"""From `<` to `<`: letter by letter, half a megabyte takes 10 ms of each page."""

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer, with which browsers send "Origin: null" even to our own pages' server.
    "Referrer-Policy": "same-origin",
}

# A proxy that collects events before it passes them on (nginx does by default), or keeps them, breaks the stream.
EVENT_STREAM = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}

# Gradio sets styles on elements, and makes functions of the text of its HTML components; a script or a handler that
# somebody's words might bring into the page needs neither, and does not run. What a form holds before it is sent has
# data: and blob: addresses, and the recorder's scripts are blobs.
POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'unsafe-eval' blob: {inline}; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; "
    "font-src 'self' data:; "
    "connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; "
    "object-src 'none'; "
    "base-uri 'self'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)


class SecurityHeaders:
    """ASGI middleware that adds them to every answer, to pages a Content-Security-Policy, and to event streams that
    nobody on the way may hold them.

    A page may run the scripts of this server and those that it has inside as it leaves here, known by their SHA-256
    (CSP Level 3, section 2.3.1).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Answer(send).send)


class _Answer:
    """One answer on its way out. A page is held until it is whole, because its scripts must be known before it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._page = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in ALWAYS.items():
                headers.setdefault(name, value)
            kind = headers.get("content-type", "")
            if kind.startswith("text/event-stream"):
                headers.update(EVENT_STREAM)
            if kind.startswith("text/html"):
                self._start = message
                return
        elif self._start is not None:
            self._page += message.get("body", b"")
            if message.get("more_body"):
                return
            MutableHeaders(scope=self._start)["Content-Security-Policy"] = self._policy()
            await self._send(self._start)
            message = {**message, "body": bytes(self._page)}
        await self._send(message)

    def _policy(self) -> str:
        inline = [_source(script) for script in INLINE_SCRIPT.findall(self._page)]
        return POLICY.format(inline=" ".join(inline))


def _source(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
