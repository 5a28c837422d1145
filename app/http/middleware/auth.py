"""Who may call."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.errors import problem
from app.http.middleware.throttle import Throttle
from app.http.middleware.unread import answer_unread

LOCAL_OWNER = "local"
"""Owner of all work where no tokens are set, which is allowed on this machine only."""

POLICY_VIOLATION = 1008
"""The WebSocket close code for a caller without permission."""


class BearerAuth:
    """ASGI middleware that wants one of `tokens` as `Authorization: Bearer ...` on every path but the `exempt` ones.

    A browser cannot send that by itself, so the token is also taken as the password of HTTP Basic (any user name),
    which browsers ask for. Without tokens everybody may call. Sets `request.state.owner` to a name for the caller that
    does not reveal the token, so that jobs belong to who made them.

    Who shows too many wrong tokens is answered 429 for a while. A right one is let in even then: many callers may share
    an address (a proxy's, a tunnel's) with the one who guesses, and guessing does not find 16 random characters.
    """

    def __init__(self, app: ASGIApp, *, tokens: frozenset[str], exempt: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._digests = tuple(_digest(token.encode()) for token in tokens)
        self._exempt = exempt
        self._throttle = Throttle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        token = _token(Headers(scope=scope).get("authorization", ""))
        owner = self._owner(token) if self._digests else LOCAL_OWNER
        if owner is None and scope["path"] not in self._exempt:
            # Who shows none guesses nothing: a browser does so before it asks its user.
            wait = 0.0 if token is None else self._throttle.failed(scope["client"][0] if scope.get("client") else "")
            await _refuse(wait, scope, receive, send)
            return
        # The server may share one state dict among all requests of the app: never write into that one.
        scope["state"] = {**scope.get("state", {}), "owner": owner}
        await self._app(scope, receive, send)

    def _owner(self, token: bytes | None) -> str | None:
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


async def _refuse(wait: float, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    await answer_unread(_too_many(wait) if wait else _unauthorized(), scope, receive, send)


def _unauthorized() -> JSONResponse:
    return problem(
        401,
        "unauthorized",
        "This server wants a token: send the header Authorization: Bearer TOKEN with one of STUDIO_API_TOKENS.",
        "Authorization",
        {"WWW-Authenticate": 'Basic realm="Carrot Studio: token as password", Bearer'},
    )


def _too_many(wait: float) -> JSONResponse:
    seconds = math.ceil(wait)
    return problem(
        429,
        "too_many_wrong_tokens",
        f"Too many wrong tokens came from this address. Check the token, and try again in {seconds} s.",
        "Authorization",
        {"Retry-After": str(seconds)},
    )


def _digest(token: bytes) -> bytes:
    """Equal lengths for all tokens, so that comparing tells nothing about theirs either."""
    return hashlib.sha256(token).digest()
