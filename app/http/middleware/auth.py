"""Who may call."""

from __future__ import annotations

import base64
import binascii
import math
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.accounts import Accounts, Caller
from app.concurrency import run_blocking
from app.http.errors import problem, problem_of
from app.http.links import FileLinks, LinkRefused
from app.http.login import LoginPage, wants_page
from app.http.middleware.throttle import Throttle
from app.http.middleware.unread import answer_unread
from app.http.sessions import Sessions
from app.scopes import Forbidden, require_path

POLICY_VIOLATION = 1008
"""The WebSocket close code for a caller without permission."""

TOKEN_PROTOCOLS = (b"bearer.", b"openai-insecure-api-key.")
"""What a page's script puts before its token in the list of WebSocket subprotocols, the one header that it can set; the
second is OpenAI's."""

TOKEN_QUERY = "token"
"""For WebSocket clients that can set no header at all."""


class BearerAuth:
    """ASGI middleware that wants a token of one of `accounts` as `Authorization: Bearer ...` on every path that is not
    `exempt`.

    A browser cannot send that by itself: a person who opens a page is shown one to log in, and `sessions` know the
    browser from then on. The token is also taken as the password of HTTP Basic (any user name); of a WebSocket, whose
    headers a browser's script cannot set, as the subprotocol `bearer.TOKEN` beside another, or as `token` in the query.
    From both it is taken away here, so that nothing behind can log or repeat it.

    Sets `request.state.account` to the caller's account, to which what it makes belongs, and `request.state.caller` to
    all that is known of the caller; both are None where an exempt path was asked for without a right token, and where
    a file was asked for by a link of `links`. A path that needs a scope which the token has not is answered 403.

    Who shows too many wrong tokens is answered 429 for a while. A right one is let in even then: many callers may share
    an address (a proxy's, a tunnel's) with the one who guesses, and guessing does not find 16 random characters.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        accounts: Accounts,
        exempt: frozenset[str],
        throttle: Throttle | None = None,
        sessions: Sessions | None = None,
        page: LoginPage | None = None,
        links: FileLinks | None = None,
    ) -> None:
        """Without `sessions` and `page` no browser is logged in; without `links` no file is had without a token."""
        self._app = app
        self._accounts = accounts
        self._exempt = exempt
        self._throttle = throttle or Throttle()
        self._sessions = sessions
        self._page = page
        self._links = links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, method = Headers(scope=scope), scope.get("method", "WEBSOCKET")
        try:
            if self._links and method in ("GET", "HEAD") and self._links.opens(scope["path"], scope["query_string"]):
                # Whoever calls: a browser that is logged in as somebody else may show the picture too.
                await self._app(_known(scope, None), receive, send)
                return
        except LinkRefused as refused:
            await _refuse(problem_of(refused), scope, receive, send)
            return
        token = _token(headers.get("authorization", ""))
        if scope["type"] == "websocket":
            scope, told = _without_token(scope)
            token = told if token is None else token
        caller = self._accounts.find(token)
        if caller is None and token is None and self._sessions is not None:
            caller = self._sessions.find(headers)
            if caller is not None and not self._sessions.is_own_page(headers, method):
                await _refuse(_not_our_page(), scope, receive, send)
                return
        if caller is None and scope["path"] not in self._exempt:
            # Who shows none guesses nothing: a browser does so before it asks its user.
            wait = 0.0 if token is None else self._throttle.failed(scope["client"][0] if scope.get("client") else "")
            await _refuse(await self._question(wait, headers, scope, method), scope, receive, send)
            return
        if caller is not None:
            try:
                require_path(caller.scopes, scope["path"])
            except Forbidden as error:
                await _refuse(problem_of(error), scope, receive, send)
                return
        await self._app(_known(scope, caller), receive, send)

    async def _question(self, wait: float, headers: Headers, scope: Scope, method: str) -> Response:
        """The answer to who shows no right token."""
        if self._page is not None and wants_page(headers, method):
            query = scope["query_string"].decode("latin-1")
            after = f"{scope['path']}?{query}" if query else scope["path"]
            return await run_blocking(self._page.answer, headers, after, wait=wait)
        return _too_many(wait) if wait else _unauthorized(may_ask=headers.get("sec-fetch-mode", "navigate"))


def _known(scope: Scope, caller: Caller | None) -> Scope:
    """The request with its caller."""
    # The server may share one state dict among all requests of the app: never write into that one.
    state = {**scope.get("state", {}), "caller": caller, "account": None if caller is None else caller.account}
    return {**scope, "state": state}


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


def _without_token(scope: Scope) -> tuple[Scope, bytes | None]:
    """A WebSocket's request without the token in its subprotocols or its query, and that token."""
    token: bytes | None = None
    kept = []
    for protocol in scope["subprotocols"]:
        prefix = next((known for known in TOKEN_PROTOCOLS if protocol.encode("latin-1").startswith(known)), None)
        if prefix is None:
            kept.append(protocol)
        elif token is None:
            token = protocol.encode("latin-1").removeprefix(prefix)
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    if token is None:
        token = next((value.encode("latin-1") for name, value in query if name == TOKEN_QUERY), None)
    left = urlencode([(name, value) for name, value in query if name != TOKEN_QUERY], encoding="latin-1")
    headers = [(name, value) for name, value in scope["headers"] if name != b"sec-websocket-protocol"]
    return {**scope, "subprotocols": kept, "query_string": left.encode("latin-1"), "headers": headers}, token


async def _refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        if "websocket.http.response" in scope.get("extensions", {}):
            await answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    await answer_unread(answer, scope, receive, send)


def _unauthorized(may_ask: str) -> JSONResponse:
    # Offered Basic, a browser would ask its user in the middle of a page whose log-in has ended.
    basic = 'Basic realm="Carrot Studio: token as password", ' if may_ask == "navigate" else ""
    return problem(
        401,
        "unauthorized",
        "This server wants a token: send the header Authorization: Bearer TOKEN with one that is good here. Whoever "
        "runs the studio makes one with python3 launch.py token create NAME.",
        "Authorization",
        {"WWW-Authenticate": f"{basic}Bearer"},
    )


def _not_our_page() -> JSONResponse:
    return problem(
        403,
        "forbidden",
        "A log-in is good for the studio's own pages. Programs send the header Authorization: Bearer TOKEN.",
        "Origin",
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
