"""A small HTTP server on this machine that serves one file, well or badly, as a test tells it to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast


@dataclass
class Served:
    """What the server has and how it behaves. `cuts` and `statuses` are used up, one per request, from the left."""

    content: bytes
    etag: str | None = '"one"'
    last_modified: str | None = None
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    """Send only so many bytes of the body, then close the connection."""
    statuses: list[int] = field(default_factory=list)
    """Answer with this status and nothing else."""
    retry_after: str | None = None
    chunked: bool = False
    """Announce no length: the end of the connection is the end of the file."""
    seconds_per_piece: float = 0.0
    requests: list[dict[str, str]] = field(default_factory=list)
    """Headers of every request so far."""
    url: str = ""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Paths that are answered with a redirect to another address."""


class _Server(ThreadingHTTPServer):
    served: Served

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what several tests are about."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        served = cast(_Server, self.server).served
        served.requests.append(dict(self.headers))
        if self.path in served.elsewhere:
            self.send_response(302)
            self.send_header("Location", served.elsewhere[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if served.statuses:
            self._refuse(served, served.statuses.pop(0))
            return
        start = self._start(served)
        body = served.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(served.content) - 1}/{len(served.content)}")
        if not served.chunked:
            self.send_header("Content-Length", str(len(body)))
        if served.etag:
            self.send_header("ETag", served.etag)
        if served.last_modified:
            self.send_header("Last-Modified", served.last_modified)
        self.end_headers()
        if served.cuts:
            body = body[: served.cuts.pop(0)]
        for at in range(0, len(body), 10_000):
            time.sleep(served.seconds_per_piece)
            self.wfile.write(body[at : at + 10_000])
        self.close_connection = True

    def _start(self, served: Served) -> int:
        """First byte to send: as asked for, if the part that the client has is of the file served now."""
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if not wanted or not served.ranges or condition not in (served.etag, served.last_modified):
            return 0
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _refuse(self, served: Served, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if served.retry_after:
            self.send_header("Retry-After", served.retry_after)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests look at `Served.requests`."""


@contextmanager
def serving(content: bytes, name: str = "model.zip") -> Iterator[Served]:
    """Serve `content` until the block ends, whatever is asked for; `url` ends with `name`."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.served = Served(content)
    server.served.url = f"http://127.0.0.1:{server.server_address[1]}/{name}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
