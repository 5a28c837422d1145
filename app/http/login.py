"""Logging in, for browsers: the small page that they are shown in place of what needs a token, and its two routes."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.concurrency import run_blocking
from app.http.middleware.limits import BodyTooLarge
from app.http.middleware.throttle import Throttle
from app.http.sessions import Sessions
from app.i18n.language import language, language_of, speaking
from app.i18n.texts import mark, say
from engines.errors import InvalidRequest

LOGIN = "/login"
LOGOUT = "/logout"
MAX_BYTES = 16 * 1024
"""Of a log-in, which anybody may send."""

WRONG = mark("That token is not known here, or it has expired or was revoked.")
TOO_MANY = mark("Too many wrong tokens came from this address. Try again in {seconds} s.")

WORDS = {
    "title": mark("Log in · Carrot Studio"),
    "intro": mark("Log in with your token."),
    "token": mark("Token"),
    "log_in": mark("Log in"),
    "how": mark("Whoever runs the studio makes one:"),
}


class LoginPage:
    """The page, as it is answered."""

    def __init__(self) -> None:
        self._text = Template((Path(__file__).parent / "login.html").read_text(encoding="utf-8"))

    def answer(
        self, asked: Headers, after: str, *, problem: str = "", wait: float = 0.0, status: int = 401
    ) -> HTMLResponse:
        """In the language that `asked`, the request's headers, want. `after`: the path to go on to. `wait`: seconds for
        which no wrong token is looked at."""
        with speaking(language_of(asked)):
            return self._answer(after, problem, wait, status)

    def _answer(self, after: str, problem: str, wait: float, status: int) -> HTMLResponse:
        headers = {"Cache-Control": "no-store"}
        if status == 401:
            # Without Basic, for which a browser would put its own question in front of the page.
            headers["WWW-Authenticate"] = "Bearer"
        if wait:
            seconds, status = math.ceil(wait), 429
            headers = {"Cache-Control": "no-store", "Retry-After": str(seconds)}
            problem = TOO_MANY
        told = html.escape(say(problem, seconds=math.ceil(wait))) if problem else ""
        words = {name: html.escape(say(text)) for name, text in WORDS.items()}
        text = self._text.substitute(words, language=language(), next=html.escape(after), problem=told)
        return HTMLResponse(text, status, headers)


def wants_page(headers: Headers, method: str) -> bool:
    """Whether the request is a person's, who opens an address in a browser."""
    return method in ("GET", "HEAD") and "text/html" in headers.get("accept", "")


def add_login(app: FastAPI, sessions: Sessions, throttle: Throttle, page: LoginPage) -> None:
    """Add /login and /logout. They need no token, and SiteGuard keeps other sites' pages from them."""

    @app.get(LOGIN, include_in_schema=False)
    async def show(request: Request) -> Response:
        if sessions.accounts.open:
            return RedirectResponse("/", 303)
        return await run_blocking(page.answer, request.headers, "/", status=200)

    @app.post(LOGIN, include_in_schema=False)
    async def log_in(request: Request) -> Response:
        sent = await _read(request)
        after = _inside(sent.get("next", ""))
        caller = sessions.accounts.find(sent.get("token", "").strip().encode(errors="replace"))
        if caller is None:
            wait = throttle.failed(request.client.host if request.client else "")
            # On a thread for as long as compressing and escaping take, which anybody may ask for.
            return await run_blocking(page.answer, request.headers, after, problem=WRONG, wait=wait)
        response = RedirectResponse(after, 303, {"Cache-Control": "no-store"})
        if caller.token_id:
            # Before a proxy that speaks TLS only the browser knows that it does.
            secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
            sessions.begin(response, caller, secure=secure)
        return response

    @app.post(LOGOUT, include_in_schema=False)
    async def log_out() -> Response:
        response = RedirectResponse(LOGIN, 303, {"Cache-Control": "no-store"})
        sessions.end(response)
        return response


async def _read(request: Request) -> Mapping[str, str]:
    """The fields of a form or of a JSON object. Raises InvalidRequest, BodyTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise BodyTooLarge(MAX_BYTES)
    try:
        text = body.decode()
        if not request.headers.get("content-type", "").startswith("application/json"):
            return {name: values[-1] for name, values in parse_qs(text).items()}
        sent = json.loads(text)
        return {name: value for name, value in sent.items() if isinstance(value, str)}
    except (ValueError, RecursionError, AttributeError) as error:
        raise InvalidRequest("token", 'token is missing: send a form, or JSON such as {"token": "..."}.') from error


def _inside(path: str) -> str:
    """A path of this server, and never another one's address."""
    return path if re.fullmatch(r"/(?![/\\])[\x21-\x7e]*", path) else "/"
