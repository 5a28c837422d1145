"""Who may call."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import problem
from app.linger import answer_unread

LOCAL_OWNER = "local"
"""Owner of all work where no tokens are set, which is allowed on this machine only."""

POLICY_VIOLATION = 1008
"""The WebSocket close code for a caller without permission."""


class BearerAuth:
    """ASGI middleware that wants one of `tokens` as `Authorization: Bearer ...` on every path but the `exempt` ones.

    A browser cannot send that by itself, so the token is also taken as the password of HTTP Basic (any user name),
    which browsers ask for. Without tokens everybody may call. Sets `request.state.owner` to a name for the caller that
    does not reveal the token, so that jobs belong to who made them.
    """

    def __init__(self, app: ASGIApp, *, tokens: frozenset[str], exempt: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._digests = tuple(_digest(token.encode()) for token in tokens)
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        owner = self._owner(Headers(scope=scope)) if self._digests else LOCAL_OWNER
        if owner is None and scope["path"] not in self._exempt:
            await _refuse(scope, receive, send)
            return
        # The server may share one state dict among all requests of the app: never write into that one.
        scope["state"] = {**scope.get("state", {}), "owner": owner}
        await self._app(scope, receive, send)

    def _owner(self, headers: Headers) -> str | None:
        token = _token(headers.get("authorization", ""))
        if token is None:
            return None
        digest = _digest(token)
        # All are compared, each in constant time: how long it takes tells nothing about a token, nor which one matched.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return f"token-{digest.hex()[:12]}" if any(matches) else None


def _token(authorization: str) -> bytes | None:
    """The token of an Authorization header; None if it holds none."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode("latin-1")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return None
    return None


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    response = problem(
        401,
        "unauthorized",
        "This server wants a token: send the header Authorization: Bearer TOKEN with one of STUDIO_API_TOKENS.",
        "Authorization",
        {"WWW-Authenticate": 'Basic realm="Carrot Studio: token as password", Bearer'},
    )
    await answer_unread(response, scope, receive, send)


def _digest(token: bytes) -> bytes:
    """Equal lengths for all tokens, so that comparing tells nothing about theirs either."""
    return hashlib.sha256(token).digest()
