"""Browsers that have logged in: a signed cookie that stands for a token without holding it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from app.accounts import Accounts, Caller
from app.http.middleware.hosts import SAFE_METHODS, is_same_address
from app.signing import Signer

COOKIE = "carrot_session"
LASTS_SECONDS = 7 * 24 * 3600
PURPOSE = "session"


class Sessions:
    """Makes and reads the cookies. They end after a week, with their token, and with the studio's key.

    `own_origins`: this server's addresses as browsers know them where that is not the Host that arrives here.
    """

    def __init__(
        self,
        accounts: Accounts,
        signer: Signer,
        own_origins: tuple[str, ...] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.accounts = accounts
        self._signer = signer
        self._own_origins = own_origins
        self._now = now

    def begin(self, response: Response, caller: Caller, *, secure: bool) -> None:
        """Log the caller in with this answer. `secure`: the browser speaks https."""
        expires = str(int(self._now()) + LASTS_SECONDS)
        value = f"{caller.token_id}.{expires}.{self._signer.sign(PURPOSE, caller.token_id, expires)}"
        # Lax and not strict, with which a link from the app to the studio would always end at the log-in page.
        response.set_cookie(COOKIE, value, max_age=LASTS_SECONDS, httponly=True, samesite="lax", secure=secure)

    def end(self, response: Response) -> None:
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")

    def find(self, headers: Headers) -> Caller | None:
        """Who has logged in with the request's browser, as long as the token is good."""
        value = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        match = re.fullmatch(r"([0-9a-z-]{1,64})\.(\d{1,12})\.([A-Za-z0-9_-]{43})", value)
        if match is None or not self._signer.matches(match[3], PURPOSE, match[1], match[2]):
            return None
        return self.accounts.by_id(match[1]) if self._now() < int(match[2]) else None

    def is_own_page(self, headers: Headers, method: str) -> bool:
        """Whether a request that a cookie comes with was sent by a page of this studio, or changes nothing.

        A browser adds the cookie to what it sends, whoever made it do so. It says where from in `Origin`, on every
        request that is not GET or HEAD and on every WebSocket, or in `Sec-Fetch-Site`; that it says nothing lets
        nothing through.
        """
        if method in SAFE_METHODS:
            return True
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") == "same-origin"
        return origin in self._own_origins or is_same_address(origin, headers.get("host", ""))
