"""All of the middleware, in the order that the parts rely on: for the studio and the speech service alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

from app.accounts import Accounts
from app.http.links import FileLinks
from app.http.login import LoginPage
from app.http.middleware.auth import BearerAuth
from app.http.middleware.forwarded import ForwardedHeaders, Network
from app.http.middleware.headers import SecurityHeaders
from app.http.middleware.hosts import SiteGuard
from app.http.middleware.limits import BodyLimit
from app.http.middleware.methods import AnswerHead, WrongMethod
from app.http.middleware.quota import RateLimitHeaders
from app.http.middleware.stopping import AnswerWhenStopped
from app.http.middleware.throttle import Throttle
from app.http.sessions import Sessions
from app.jobs.quota import Standing

COMPRESSION = 5
"""Of 1 to 9. 304 kB of text: 5 takes 6 ms and leaves 22.8 %, 9 takes 35 ms and leaves 22.3 %."""

PICTURES_IN_JSON = ("/generate", "/txt2img", "/v1/images/")
"""Base64 shrinks by what base64 added, a quarter, for 36 ms of a core a megabyte: the picture was waited for."""


def guarded(
    app: FastAPI,
    *,
    accounts: Accounts,
    hosts: Sequence[str],
    origins: Sequence[str],
    max_bytes: int,
    exempt: frozenset[str],
    throttle: Throttle | None = None,
    sessions: Sessions | None = None,
    page: LoginPage | None = None,
    links: FileLinks | None = None,
    standings: Callable[[str], Sequence[Standing]] | None = None,
    proxies: Sequence[Network] = (),
    public_url: str | None = None,
) -> None:
    """Put all of the middleware around `app`.

    `hosts` and `origins`: as for SiteGuard. `max_bytes`: the largest body. `exempt`: paths that need no token.
    `throttle`, `sessions`, `page`, `links`: as for BearerAuth. `proxies`, `public_url`: as for ForwardedHeaders.
    `standings`: as for RateLimitHeaders.
    """
    # Added last is asked first, so this reads from the app outwards.
    app.add_middleware(WrongMethod, router=app.router)
    if standings is not None:
        app.add_middleware(RateLimitHeaders, standings=standings)
    # Inside the limit, because a stop may break off a body that is being read.
    app.add_middleware(AnswerWhenStopped)
    # Inside the check of tokens: who may not call sends nothing that counts.
    app.add_middleware(BodyLimit, max_bytes=max_bytes)
    app.add_middleware(
        BearerAuth, accounts=accounts, exempt=exempt, throttle=throttle, sessions=sessions, page=page, links=links
    )
    # Outside the check of tokens: a browser asks whether it may call before it shows one, and reads why it may not.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer"],
    )
    app.add_middleware(SiteGuard, hosts=tuple(hosts), origins=tuple(origins))
    # Outside SiteGuard, which judges the Host that a proxy tells like any other.
    app.add_middleware(ForwardedHeaders, proxies=tuple(proxies), public_url=public_url)
    # Outside all that refuses: refusals have these headers too.
    app.add_middleware(SecurityHeaders)
    # Outside SecurityHeaders, which reads the pages.
    app.add_middleware(_Compression, compresslevel=COMPRESSION)
    app.add_middleware(AnswerHead)


class _Compression(GZipMiddleware):
    """Compresses what is text, by its type: no event streams, pictures, sounds or archives."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pictures = scope["type"] == "http" and scope["path"].startswith(PICTURES_IN_JSON)
        await (self.app if pictures else super().__call__)(scope, receive, send)
