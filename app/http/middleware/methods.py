"""What the framework leaves open about methods: HEAD where only GET is declared, and 405 beside an app at `/`."""

from __future__ import annotations

import re

import anyio
from starlette.routing import Match, Mount, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.errors import problem

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

READ_ONCE = re.compile(r"/gradio_api/(call|queue|heartbeat|upload_progress)\b")
"""Streams of Gradio: to open one and leave takes its only result, or ends a session. Gradio answers HEAD with 405."""


class AnswerHead:
    """ASGI middleware: HEAD is asked as GET, and is over once the headers are known, for a stream without end too.

    Outermost, so that the headers are those of the whole answer to GET, its Content-Length included.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or READ_ONCE.match(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def headers_only(message: Message) -> None:
            # What comes after the headers is dropped.
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                running.cancel()

        with anyio.CancelScope() as running:
            await self._app({**scope, "method": "GET"}, receive, headers_only)


class WrongMethod:
    """ASGI middleware: 405 for a path that the routes of `router` have for other methods only.

    The router itself would pass such a request on to the app that is mounted at `/`, where the path is unknown.
    """

    def __init__(self, app: ASGIApp, *, router: Router) -> None:
        self._app = app
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._match(scope, scope["method"]) is not Match.PARTIAL:
            await self._app(scope, receive, send)
            return
        allowed = ", ".join(method for method in METHODS if self._match(scope, method) is Match.FULL)
        told = f"{scope['method'][:20]} is not possible at this address: send {allowed.replace(', ', ' or ')}."
        await problem(405, "method_not_allowed", told, None, {"Allow": allowed})(scope, receive, send)

    def _match(self, scope: Scope, method: str) -> Match:
        """The best match of the routes that are no mounts, were the request of this `method`."""
        asked = {**scope, "method": method}
        # Matching notes things in the scope, so each route gets one of its own.
        matches = (route.matches({**asked})[0] for route in self._router.routes if not isinstance(route, Mount))
        return max(matches, key=lambda match: match.value, default=Match.NONE)
