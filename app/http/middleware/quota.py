"""What is left of an account's limits, told with every answer to a POST (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.errors import rate_headers
from app.jobs.quota import Standing


class RateLimitHeaders:
    """ASGI middleware, inside of BearerAuth. `standings`: what is left to an account; must not wait."""

    def __init__(self, app: ASGIApp, *, standings: Callable[[str], Sequence[Standing]]) -> None:
        self._app = app
        self._standings = standings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        account = scope.get("state", {}).get("account")
        if scope["type"] != "http" or scope["method"] != "POST" or account is None:
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A refusal names the limit that was reached, which may be a user's.
                for name, value in rate_headers(self._standings(account)).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, told)
