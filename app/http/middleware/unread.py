"""Answering a request before its body was read.

Closing a connection on unread data makes the system reset it, and the client then often sees the reset in place of the
answer. So the answer goes out at once, and what the client still sends is thrown away for a while.
"""

from __future__ import annotations

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LINGER_SECONDS = 10.0
"""After this a client that goes on sending is cut off all the same."""


async def answer_unread(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send `response` and close, without keeping any of the request's body. `response` is a whole one, no stream."""
    # The end of the body is not awaited for ever, so the connection cannot be used again.
    response.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if scope["method"] not in ("GET", "HEAD"):
        with anyio.move_on_after(LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})
