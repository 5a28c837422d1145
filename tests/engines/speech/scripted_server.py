"""A transcription service that misbehaves as told, one answer a request."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD: dict[str, Any] = {
    "text": "from the cloud",
    "duration": 2.0,
    "language": "en",
    "segments": [{"text": "from the", "start": 0.0, "end": 1.0}, {"text": "cloud", "start": 1.2, "end": 1.6}],
    "words": [
        {"word": "from", "start": 0.0, "end": 0.5, "confidence": 0.9},
        {"word": "the", "start": 0.5, "end": 1.0, "confidence": 0.8},
        {"word": "cloud", "start": 1.2, "end": 1.6, "confidence": 0.7},
    ],
    "engine": "cloud-model",
    "demo": False,
}


@dataclass(frozen=True)
class Answer:
    """One answer: a status with a body, or a way to fail."""

    status: int = 200
    body: Any = field(default_factory=lambda: GOOD)
    headers: dict[str, str] = field(default_factory=dict)
    fail: str = ""
    """cut: close without an answer; half: close in the middle of one; hang: say nothing until the test is over."""


@dataclass
class Script:
    """What the server will answer, and what it was asked."""

    answers: list[Answer]
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)
    """The client closed its connection during a hang."""


@contextlib.contextmanager
def scripted(*answers: Answer) -> Iterator[Script]:
    """Serve `answers` in order; the last one is repeated."""
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            script.bodies.append(_read_body(self))
            script.headers.append(dict(self.headers))
            answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            _give(self, answer, script)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield script
        finally:
            script.over.set()
            server.shutdown()
            thread.join()


def _read_body(handler: BaseHTTPRequestHandler) -> bytes:
    return handler.rfile.read(int(handler.headers["Content-Length"]))


def _give(handler: BaseHTTPRequestHandler, answer: Answer, script: Script) -> None:
    handler.close_connection = True
    if answer.fail == "cut":
        return
    if answer.fail == "hang":
        _hang(handler.connection, script)
        return
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2] if answer.fail == "half" else body)


def _hang(connection: socket.socket, script: Script) -> None:
    connection.settimeout(0.02)
    while not script.over.is_set():
        try:
            if not connection.recv(1):
                script.hung_up.set()
                return
        except TimeoutError:
            continue
