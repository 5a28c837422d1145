"""A Hugging Face hub in small: serves folders as models by the few routes that a download uses, well or badly."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubServer:
    """Models by their ids, their files by path. Files named `.safetensors` are announced as large ones (LFS)."""

    models: dict[str, dict[str, bytes]]
    commit: str = COMMIT
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """For a path, how many bytes to send before the connection is closed, one per request, from the left."""
    damaged: set[str] = field(default_factory=set)
    """Paths whose last byte is sent wrong."""
    fetched: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request for a file's content."""
    tokens: list[str | None] = field(default_factory=list)
    """Authorization header of every request for a file's content."""
    asked: int = 0
    """Requests of any kind."""
    url: str = ""


class _Server(ThreadingHTTPServer):
    hub: HubServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what several tests are about."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        hub = cast(_Server, self.server).hub
        hub.asked += 1
        path = self.path.split("?")[0]
        if "hanging-up" in path:
            self.close_connection = True
            return None
        for model, files in hub.models.items():
            if path.startswith(f"/api/models/{model}/tree/"):
                return self._send_json([_entry(name, content) for name, content in files.items()])
            if path.startswith(f"/api/models/{model}"):
                return self._send_json({"id": model, "modelId": model, "sha": hub.commit, "siblings": []})
            name = path.removeprefix(f"/{model}/resolve/{hub.commit}/")
            if name in files:
                return self._send_file(hub, name, files[name])
        self.send_error(404)
        return None

    def _send_json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_file(self, hub: HubServer, name: str, content: bytes) -> None:
        wanted = self.headers.get("Range")
        hub.fetched.append((name, wanted))
        hub.tokens.append(self.headers.get("Authorization"))
        if name in hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.end_headers()
        cuts = hub.cuts.get(name)
        self.wfile.write(body[: cuts.pop(0)] if cuts else body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests look at `HubServer.fetched`."""


def _entry(name: str, content: bytes) -> dict[str, object]:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": git}
    if name.endswith(".safetensors"):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


@contextmanager
def serving_hub(models: dict[str, dict[str, bytes]]) -> Iterator[HubServer]:
    """Serve `models` until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = HubServer(models)
    server.hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
