"""A real server on a free port of this machine, for tests that speak to it as clients do."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.delivery.sender import FOR_DAYS, Schedule
from app.downloads import Downloads
from app.http.apps import Page, create_studio
from app.runner import MAX_MESSAGE_BYTES, WebSockets
from app.settings.fields import Settings
from app.studio import Studio
from app.wiring import assemble, open_accounts
from engines.protocols import ImageEngine, SpeechEngine


def make_studio(
    settings: Settings,
    image: ImageEngine,
    speech: SpeechEngine,
    *,
    schedule: Schedule = FOR_DAYS,
    downloads: Downloads | None = None,
) -> Studio:
    """A studio over the given engines, wired by the product itself. `schedule`: of deliveries that fail. `downloads`:
    of models, from the usual places where not given."""
    return assemble(settings, image, speech, schedule=schedule, downloads=downloads)


def create_app(studio: Studio) -> FastAPI:
    """The studio behind its doors."""
    from app.ui.page import add_page

    return create_studio(studio, open_accounts(studio.settings), add_page)


def create_api(studio: Studio) -> FastAPI:
    """The same without the page, whose import and building take most of a short test's time."""
    return create_studio(studio, open_accounts(studio.settings), lambda *_: Page(lambda: None))


def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until it is so. The time is there to end a test that fails, not to measure anything."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(pause)
        # Asking costs the machine that is waited for: httpx.get alone reads all certificates, 30 ms of a core.
        pause = min(1.2 * pause, 0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """The base URL of a server that runs `app` until the block ends, on a free port unless one is given."""
    # With its protocol, without which asyncio leaves Nagle's algorithm on, and each answer takes 40 ms longer.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_level="warning",
            timeout_graceful_shutdown=1,
            ws=WebSockets,
            ws_max_size=MAX_MESSAGE_BYTES,
            proxy_headers=False,
        )
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
    def answers() -> bool:
        try:
            httpx.get(f"{url}/health/live", timeout=5)
        except httpx.TransportError:
            return False
        return True

    until(answers, 60)


def settings_in(folder: Path, **values: object) -> Settings:
    """Settings over a test's own folder, untouched by this machine's environment."""
    usual = {"data_dir": folder, "speech_workers": 1, "speech_files": 1, "preset_pictures": False}
    return Settings.model_validate({**usual, **values})


@contextmanager
def process_of(program: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that runs `program` with a free port and `arguments`, and its base URL, once it printed "started"."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(port), *arguments],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = []
        # What it logs comes before: e.g. how many jobs of its last run go on.
        while "started\n" not in said:
            said.append(process.stdout.readline())
            assert said[-1], "".join(said)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()
