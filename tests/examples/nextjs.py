"""The Next.js app as its user starts it, by the lines of the README, beside a studio that can be killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.app.cli.test_transcriber import transcriber
from tests.app.delivery.emulator import PROJECT, Emulator
from tests.conftest import ROOT, launched
from tests.serving import free_port, until

SOURCE = ROOT / "examples" / "nextjs"
SECRET = "whsec_" + 32 * "A"
START = "npm start"


def typed() -> list[str]:
    """The lines that "Connect your app" has its reader type."""
    section = re.search(r"^## Connect your app\n(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert section is not None
    return [line for block in re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL) for line in block.splitlines()]


def clean() -> dict[str, str]:
    """This machine's environment without what would reach the app or the studio from it."""
    ours = ("STUDIO_", "VAST_", "GRADIO_", "FIREBASE_", "FIRESTORE_", "TRANSCRIPTION_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # npm would ask its registry for an audit as well, which is not what is tested here.
    quick = {"npm_config_audit": "false", "npm_config_fund": "false"}
    return kept | quick | {"NEXT_TELEMETRY_DISABLED": "1", "CI": "1"}


def build(folder: Path) -> None:
    """Copy the app into `folder` and type what comes before it is started."""
    ignored = shutil.ignore_patterns("node_modules", ".next", "next-env.d.ts", "*.tsbuildinfo", ".env.local")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True, ignore=ignored)
    lines = typed()
    before = lines[lines.index("cd examples/nextjs") + 1 : lines.index(START)]
    done = subprocess.run(
        ["bash", "-ec", "\n".join(before)], cwd=folder, env=clean(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Town:
    """The app, and what it stands on. The studio is not there until it is started."""

    folder: Path
    app: str
    studio: str
    token: str
    variables: dict[str, str]
    _running: ExitStack | None = None

    def start_studio(self) -> None:
        """If it is not running, and until it is ready; with the jobs and the token that it had."""
        if self._running is None:
            port = int(self.studio.rpartition(":")[2])
            self._running = ExitStack()
            self._running.enter_context(launched(self.folder, port=port, **self.variables))
            until(lambda: self.ask_studio("/health/ready").status_code == 200, 120)

    def kill_studio(self) -> None:
        """As a box that is gone: `kill -9`."""
        if self._running is not None:
            self._running.close()
        self._running = None

    def ask_studio(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.studio}{path}", headers={"Authorization": f"Bearer {self.token}"}, timeout=30)


@contextmanager
def town(built: Path, folder: Path, emulator: Emulator, fetch_hosts: str = "") -> Iterator[Town]:
    """The app, started over Firestore's emulator and a speech service, without its studio."""
    port, studio_port = free_port(), free_port()
    app, studio = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{studio_port}"
    database = {"FIREBASE_PROJECT_ID": PROJECT, "FIRESTORE_EMULATOR_HOST": emulator.address}
    with transcriber(**({"STUDIO_FETCH_HOSTS": fetch_hosts} if fetch_hosts else {})) as (speech, _):
        shared = {**database, "TRANSCRIPTION_SERVICE_URL": speech, "STUDIO_WEBHOOK_SECRET": SECRET}
        token = make_token(folder)
        env = {**clean(), **shared, "APP_URL": app, "VAST_AI_URL": studio, "STUDIO_TOKEN": token}
        with _started(built, port, env):
            place = Town(folder, app, studio, token, {**shared, "STUDIO_WEBHOOK_HOSTS": app})
            try:
                yield place
            finally:
                place.kill_studio()


def make_token(folder: Path) -> str:
    (line,) = [line for line in typed() if " token create " in line]
    env = {**clean(), "STUDIO_DATA_DIR": str(folder / "data")}
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def _started(built: Path, port: int, env: dict[str, str]) -> Iterator[None]:
    output = built / "output.txt"
    with output.open("w") as log:
        # A group of its own, because npm does not pass a kill on to the server that it starts.
        process = subprocess.Popen(
            ["bash", "-c", f"{START} -- --port {port} --hostname 127.0.0.1"],
            cwd=built, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: _answers(f"http://127.0.0.1:{port}") or process.poll() is not None, 90)
        assert process.poll() is None, output.read_text()
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/icon.svg", timeout=10).status_code == 200
    except httpx.TransportError:
        time.sleep(0.1)
        return False
