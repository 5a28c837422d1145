"""A hub id: downloaded once from a hub on this machine, read from the cache ever after.

In a process of its own, since the hub client reads its address and cache folder when it is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves one model folder as `tests/tiny`, by the few routes of the hub that a download uses."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
        self.fetched: list[str] = []


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.split("?")[0]
        if "hanging-up" in path:
            self.close_connection = True
            return
        if path.startswith("/api/models/tests/tiny/tree/"):
            self._send(json.dumps([self._entry(name) for name in self.server.files]).encode(), with_body=with_body)
        elif path.startswith("/api/models/tests/tiny"):
            siblings = [{"rfilename": name} for name in self.server.files]
            info = {"id": "tests/tiny", "modelId": "tests/tiny", "sha": COMMIT, "siblings": siblings}
            self._send(json.dumps(info).encode(), with_body=with_body)
        elif path.startswith("/tests/tiny/resolve/") and path.split("/", 5)[5] in self.server.files:
            name = path.split("/", 5)[5]
            if with_body:
                self.server.fetched.append(name)
            self._send(self.server.files[name].read_bytes(), with_body=with_body)
        else:
            self.send_error(404)

    def _entry(self, name: str) -> dict[str, object]:
        content = self.server.files[name].read_bytes()
        return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def _send(self, content: bytes, *, with_body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(content)


@pytest.fixture
def hub(model_folder: Path) -> Iterator[Hub]:
    hub = Hub(model_folder)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    yield hub
    hub.shutdown()
    hub.server_close()


PROGRAM = """
import threading
from engines.errors import ModelMissing
from engines.sdxl.engine import SdxlEngine
from engines.types import ImageRequest

def picture(**options):
    engine = SdxlEngine("tests/tiny", "cpu", **options)
    request = ImageRequest("a cat", width=64, height=64, num_inference_steps=1, seed=1)
    return engine.generate(request, lambda progress: None, threading.Event()).images[0].image.tobytes()

try:
    SdxlEngine("tests/tiny", "cpu", offline=True).load()
except ModelMissing as error:
    print(error)
assert picture() == picture(offline=True)
for absent in ("tests/absent", "tests/hanging-up"):
    try:
        SdxlEngine(absent, "cpu").load()
    except ModelMissing as error:
        print(error)
"""


def test_a_hub_model_is_downloaded_once_and_then_read_offline(hub: Hub, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path)}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    before, absent, hanging_up = done.stdout.splitlines()
    assert "'tests/tiny' is neither on this machine nor could it be downloaded" in before
    assert "'tests/absent' is neither on this machine" in absent
    assert "'tests/hanging-up' is neither on this machine" in hanging_up
    assert sorted(hub.fetched) == sorted(set(hub.fetched))
    assert "unet/diffusion_pytorch_model.safetensors" in hub.fetched
