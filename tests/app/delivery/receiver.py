"""A receiver of webhooks: a real server on this machine that answers as a test wants and keeps what came."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Message:
    """What came: where to, its headers with lower-case names, its body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message


@dataclass
class Receiver:
    """`answers`: the next statuses, then 204. `hang`: say nothing until `let_go`; `drip`: a byte now and then."""

    port: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hang: bool = False
    drip: bool = False
    let_go: threading.Event = field(default_factory=threading.Event)
    messages: list[Message] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ids(self) -> list[str]:
        return [message.id for message in self.messages]

    def states(self, job_id: str) -> list[str]:
        """Of a job, in the order in which they came, each message once."""
        first = {message.id: message for message in reversed(self.messages)}
        came = [message for message in self.messages if first[message.id] is message]
        return [message.json["data"]["state"] for message in came if message.json["data"]["job_id"] == job_id]


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A running receiver; on a free port, or on this one again."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            body = self.rfile.read(size)
            if len(body) < size:
                # Who was posting was killed between two packets: half a message is none.
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.messages.append(Message(self.path, headers, body))
            if receiver.hang:
                receiver.let_go.wait(30)
                return
            if receiver.drip:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
                while not receiver.let_go.wait(0.02):
                    self.wfile.write(b"x")
                return
            status, more = receiver.answers.pop(0) if receiver.answers else (204, {})
            self.send_response(status)
            for name, value in {**more, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who was posting has gone."""

    server = Server(("127.0.0.1", port), Handler)
    server.daemon_threads = False
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settle(seconds: float = 0.3) -> None:
    """Time for what must not happen."""
    time.sleep(seconds)
