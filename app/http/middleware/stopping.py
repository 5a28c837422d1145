"""The answer to a request that the server's stop breaks off, such as an upload that is still coming in."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.errors import problem_of
from app.jobs.errors import Draining


class AnswerWhenStopped:
    """ASGI middleware: where the server cancels a request before anything was answered, the client is told why."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            # Nobody but the server at its end cancels a request. It would make a bare 500 and a traceback of this.
            if started or scope["type"] != "http":
                raise
            await problem_of(Draining())(scope, receive, send)
