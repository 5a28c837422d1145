"""How much a client may send.

Starlette's RequestBodyLimitMiddleware lets a route that reads no body do its work before it refuses an announced size,
and answers in fixed texts without the limit; it has no place to change either.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.errors import problem
from app.http.middleware.unread import answer_unread


class BodyTooLarge(HTTPException):
    """The request body passed the limit. An HTTPException, because frameworks let those through while they read."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(413, f"The request is larger than {describe_size(max_bytes)}, the limit here: send less.")


MAX_JSON_BYTES = 1024 * 1024
"""Of a body that says it is JSON, which is parsed in one go, in memory. A request holds some thousand characters; files
come in forms."""


class BodyLimit:
    """ASGI middleware that ends requests with a body of more than `max_bytes`, or of JSON more than MAX_JSON_BYTES.

    Bytes are counted as they come, so a chunked body or a wrong Content-Length changes nothing; an honest
    Content-Length that is too large is refused before anything is read. Whatever the app inside makes of the
    broken-off body, the client gets 413 with the limit.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_json = headers.get("content-type", "").lower().startswith("application/json")
        limit = min(MAX_JSON_BYTES, self._max_bytes) if is_json else self._max_bytes
        error = BodyTooLarge(limit)
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            await _refuse(error, scope, receive, send)
            return
        request = _Counted(receive, send, error, limit)
        try:
            await self._app(scope, request.receive, request.send)
        except BodyTooLarge:
            # An app without a handler of its own for HTTP errors.
            if not request.exceeded:
                raise
        if request.exceeded and not request.answered:
            await _refuse(error, scope, receive, send)


class _Counted:
    """One request's two channels."""

    def __init__(self, receive: Receive, send: Send, error: BodyTooLarge, max_bytes: int) -> None:
        self.exceeded = False
        self.answered = False
        self._receive = receive
        self._send = send
        self._error = error
        self._left = max_bytes

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.exceeded = True
            raise self._error
        return message

    async def send(self, message: Message) -> None:
        if self.exceeded and not self.answered:
            return
        self.answered = True
        await self._send(message)


async def _refuse(error: BodyTooLarge, scope: Scope, receive: Receive, send: Send) -> None:
    await answer_unread(problem(413, "body_too_large", error.detail), scope, receive, send)


def describe_size(size: int) -> str:
    """12 MB, 500 kB, 80 bytes; rounded down, in binary units, as file managers and settings count."""
    for unit, factor in (("MB", 2**20), ("kB", 2**10)):
        if size >= factor:
            return f"{size // factor} {unit}"
    return f"{size} bytes"
