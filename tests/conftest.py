"""The product as a user starts it: `python launch.py`, in a process of its own, on the built-in models."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.portrait import pulled

HERE = Path(__file__).parent
ROOT = HERE.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="keep the pictures of the page as they are now")


LONG_FIRST = ("examples", "training", "app/ui", ".", "docs", "deploy", "app/delivery", "app/jobs", "app/http", "app")
"""Folders whose files take long, the longest first: a long one that began last would keep one core busy and the others
idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.path.parent.relative_to(HERE).as_posix()
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=place)


def pytest_configure() -> None:
    """Have pictures made by one thread: with several tests side by side, threads wait for each other by turning, and
    take three times as long.

    Hear Ctrl-C again, and so let the processes that tests start hear it: who runs the tests in the background of a
    shell script makes them inherit that it is ignored."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Launched:
    """A running `launch.py`. `stop` ends it like a service manager does and gives its exit status."""

    url: str
    process: subprocess.Popen[str]
    output: Path

    @property
    def image_process(self) -> int:
        """The process that makes its pictures. Told by Linux alone."""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            for pid in (task / "children").read_text().split():
                if b"engines.sdxl.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
        raise AssertionError("there is none")

    def stop(self, sig: signal.Signals = signal.SIGTERM, timeout: float = 60) -> int:
        self.process.send_signal(sig)
        return self.process.wait(timeout)


@contextmanager
def launched(folder: Path, *flags: str, port: int = 0, **variables: str) -> Iterator[Launched]:
    """Start the studio with its data in `folder`, on a free port unless one is given; ready to work when the block
    begins, killed when it ends."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        port = probe.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "GRADIO_"))}
    env = {**clean, "STUDIO_DATA_DIR": str(folder / "data"), "HOME": str(folder), **variables}
    output = folder / "output.txt"
    with output.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "launch.py", "--port", str(port), "--image-model", "sketch", *flags],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            studio = Launched(f"http://127.0.0.1:{port}", process, output)
            _until_healthy(studio)
            yield studio
        finally:
            process.kill()
            process.wait()


def _until_healthy(studio: Launched) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and studio.process.poll() is None:
        try:
            answer = httpx.get(f"{studio.url}/health", timeout=10)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if answer.status_code in (200, 401) or answer.json()["status"] == "failed":
            return
        time.sleep(0.2)
    raise AssertionError(f"the studio did not get ready:\n{studio.output.read_text()}")


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """One studio for all tests that only talk to it."""
    with launched(tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture(scope="session")
def npm_cache(request: pytest.FixtureRequest) -> Path:
    """Packages of the npm registry, kept between runs."""
    assert request.config.cache is not None
    return request.config.cache.mkdir("npm")


@pytest.fixture(scope="session")
def portrait_models(npm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the model in it that parts people from what is behind them."""
    return pulled(npm_cache, tmp_path_factory.mktemp("models"))
