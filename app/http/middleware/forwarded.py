"""Behind a proxy: who calls, and under which address, as the proxy tells it.

Uvicorn's ProxyHeadersMiddleware leaves the host out, and leaves the headers of strangers in, which Gradio believes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TOLD = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip")
SECURE = {"http": "https", "ws": "wss"}


class ForwardedHeaders:
    """ASGI middleware that takes the caller's address, the scheme and the Host from the `X-Forwarded-` headers of
    `proxies`, and those headers away from everybody: what a stranger says of itself is not believed.

    Of several values the last is taken, which the nearest proxy has added; of addresses the last that is no proxy's.
    A request for the host of `public_url` is one for its scheme, without a proxy's word; and `request.state.public_url`
    is that address, for who writes links.
    """

    def __init__(self, app: ASGIApp, *, proxies: Sequence[Network], public_url: str | None = None) -> None:
        self._app = app
        self._proxies = proxies
        self._public_url = public_url
        self._public = None if public_url is None else urlsplit(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = self._as_told(scope)
        await self._app(scope, receive, send)

    def _as_told(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        kept = [(name, value) for name, value in scope["headers"] if name.decode("latin-1") not in TOLD]
        state = {**scope.get("state", {}), "public_url": self._public_url}
        scope = {**scope, "headers": kept, "state": state}
        host, proto = headers.get("host", ""), ""
        if scope.get("client") and self._is_proxy(scope["client"][0]):
            proto = _last(headers, "x-forwarded-proto").lower()
            if told := _last(headers, "x-forwarded-host"):
                host = told
                others = [(name, value) for name, value in kept if name != b"host"]
                scope["headers"] = [*others, (b"host", host.encode("latin-1"))]
            callers = [one.strip() for one in ",".join(headers.getlist("x-forwarded-for")).split(",") if one.strip()]
            caller = next((one for one in reversed(callers) if not self._is_proxy(one)), None)
            if caller is not None:
                scope["client"] = (caller, 0)
        is_public = self._public is not None and self._public.scheme == "https" and host.lower() == self._public.netloc
        if proto == "https" or is_public:
            scope["scheme"] = SECURE.get(scope["scheme"], scope["scheme"])
        return scope

    def _is_proxy(self, address: str) -> bool:
        try:
            known = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(known in network for network in self._proxies)


def _last(headers: Headers, name: str) -> str:
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()
