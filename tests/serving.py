"""A real server on a free port of this machine, for tests that speak to it as clients do."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.types import ASGIApp

from app.settings.fields import Settings
from app.wiring import assemble
from app.work.studio import Studio
from engines.protocols import ImageEngine, SpeechEngine


def make_studio(settings: Settings, image: ImageEngine, speech: SpeechEngine) -> Studio:
    """A studio over the given engines, wired by the product itself."""
    return assemble(settings, image, speech)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The base URL of a server that runs `app` until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, ws="none", proxy_headers=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{port}"
            _until_answering(url)
            yield url
        finally:
            server.should_exit = True
            thread.join(30)


def _until_answering(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/health/live", timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} did not answer within 60 s")


def settings_in(folder: Path, **values: object) -> Settings:
    """Settings over a test's own folder, untouched by this machine's environment."""
    return Settings.model_validate({"data_dir": folder, "speech_workers": 1, **values})


@contextmanager
def process_of(program: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that runs `program` with a free port and `arguments`, and its base URL, once it printed "started"."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(port), *arguments],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()
