"""Who may talk to the server at all: the Host header, and pages of other sites.

Starlette's TrustedHostMiddleware refuses with a fixed plain text, which tells neither the field nor the setting, and
the judgement of Origin needs the Host beside it; our check of the name is shorter than its answer rewritten.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": 80, "https": 443}


class SiteGuard:
    """Refuses foreign Host headers (DNS rebinding) and requests that another site's page made the browser send.

    A browser marks the latter with `Origin`, and where it talks to a secure address with `Sec-Fetch-Site: cross-site`
    too; programs send neither. `hosts` are names, `*.name` for all below one, or `*` for any; `origins` are the pages
    that may call from a browser, as in CORS. Our own page's origin is this server's address as the browser knows it,
    the Host.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        self._app = app
        self._any_host = "*" in hosts
        self._hosts = frozenset(host for host in hosts if not host.startswith("*."))
        self._suffixes = tuple(host[1:] for host in hosts if host.startswith("*."))
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            problem = self._problem(Headers(scope=scope), scope.get("method", "GET"))
            if problem:
                await JSONResponse(problem, status_code=400 if problem["error"]["field"] == "Host" else 403)(
                    scope, receive, send
                )
                return
        await self._app(scope, receive, send)

    def _problem(self, headers: Headers, method: str) -> dict[str, dict[str, str]] | None:
        address = headers.get("host", "")
        host = _host_name(address)
        if not (self._any_host or host in self._hosts or host.endswith(self._suffixes)):
            return _error("Host", f"Host {host!r} is not served here. Add it to STUDIO_ALLOWED_HOSTS if it should be.")
        origin = headers.get("origin")
        if origin in self._origins:
            return None
        cross = headers.get("sec-fetch-site") == "cross-site" and method not in SAFE_METHODS
        # A preflight is CORS's to answer, and does nothing else.
        foreign = origin is not None and method != "OPTIONS" and not is_same_address(origin, address)
        if cross or foreign:
            shown = (origin or "")[:100]
            return _error("Origin", f"Pages of {shown!r} may not call this server. Add it to STUDIO_ALLOWED_ORIGINS.")
        return None


def _host_name(host: str) -> str:
    """The Host header without its port, lower case; IPv6 addresses keep their brackets."""
    name, separator, port = host.lower().rpartition(":")
    return name if separator and port.isdigit() and not name.endswith(":") else host.lower()


def is_same_address(origin: str, host: str) -> bool:
    """Whether an Origin and a Host header name one host and port. Schemes may differ: before a TLS proxy only the
    browser speaks https."""
    try:
        page = urlsplit(origin)
        default = DEFAULT_PORTS[page.scheme]
        here = urlsplit(f"{page.scheme}://{host}")
        return page.hostname == here.hostname and (page.port or default) == (here.port or default)
    except (KeyError, ValueError):  # null, or no address
        return False


def _error(field: str, message: str) -> dict[str, dict[str, str]]:
    return {"error": {"type": "forbidden", "message": message, "field": field}}
