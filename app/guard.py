"""Who may talk to the server at all: the Host header, and pages of other sites."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SiteGuard:
    """Refuses foreign Host headers (DNS rebinding) and requests that another site's page made the browser send.

    A browser marks the latter with `Sec-Fetch-Site: cross-site`; programs send no such header. `hosts` are names, or
    `*.name` for all below one; `origins` are the pages that may call from a browser, as in CORS.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        self._app = app
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
        host = _host_name(headers.get("host", ""))
        if host not in self._hosts and not host.endswith(self._suffixes):
            return _error("Host", f"Host {host!r} is not served here. Add it to STUDIO_ALLOWED_HOSTS if it should be.")
        cross = headers.get("sec-fetch-site") == "cross-site" and method not in SAFE_METHODS
        if cross and headers.get("origin") not in self._origins:
            origin = headers.get("origin", "")
            return _error("Origin", f"Pages of {origin!r} may not call this server. Add it to STUDIO_ALLOWED_ORIGINS.")
        return None


def _host_name(host: str) -> str:
    """The Host header without its port, lower case; IPv6 addresses keep their brackets."""
    name, separator, port = host.lower().rpartition(":")
    return name if separator and port.isdigit() and not name.endswith(":") else host.lower()


def _error(field: str, message: str) -> dict[str, dict[str, str]]:
    return {"error": {"type": "forbidden", "message": message, "field": field}}
