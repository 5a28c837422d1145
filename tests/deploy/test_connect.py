"""deploy/connect as it is committed: Debian's Caddy before a real studio, and the unit's ssh to a real sshd."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shlex
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websocket

from tests.app.conftest import Served, serve
from tests.conftest import ROOT
from tests.serving import create_api, free_port, until
from tests.sshd import Sshd

CONNECT = ROOT / "deploy" / "connect"
TOKEN = {"Authorization": "Bearer a-token-that-is-long-enough"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), create_api, api_tokens="web=a-token-that-is-long-enough")


@dataclass
class Front:
    """Caddy, and the certificate by which to know it."""

    port: int
    trusted: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


@contextlib.contextmanager
def caddy(folder: Path, upstream: str) -> Iterator[Front]:
    port = free_port()
    process = subprocess.Popen(
        ["caddy", "run", "--config", CONNECT / "Caddyfile"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "STUDIO_SITE": f"localhost:{port}",
            "STUDIO_TLS": "tls internal",
            "STUDIO_HTTP_PORT": str(free_port()),
            "STUDIO_UPSTREAM": upstream,
        },
        stderr=subprocess.DEVNULL,
    )
    root = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    try:

        def up() -> bool:
            assert process.poll() is None
            if root.exists():
                with contextlib.suppress(httpx.TransportError, ssl.SSLError):
                    httpx.get(f"https://localhost:{port}", verify=ssl.create_default_context(cafile=str(root)))
                    return True
            return False

        until(up)
        yield Front(port, ssl.create_default_context(cafile=str(root)))
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def front(guarded: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with caddy(tmp_path_factory.mktemp("caddy"), httpx.URL(guarded.url).netloc.decode()) as it:
        yield it


def test_without_a_token_it_is_401(front: Front) -> None:
    with httpx.Client(base_url=front.url, verify=front.trusted) as http:
        assert http.get("/health").status_code == 401
        assert http.post("/generate", json={"prompt": "a"}).status_code == 401
        answer = http.get("/health", headers=TOKEN)
        assert answer.json()["status"] == "healthy"
        assert answer.headers["Strict-Transport-Security"]


def test_events_come_before_the_job_ends(front: Front, guarded: Served) -> None:
    guarded.image.gate.clear()
    try:
        with httpx.Client(base_url=front.url, verify=front.trusted, headers=TOKEN, timeout=20) as http:
            job = http.post("/jobs", json={"kind": "image", "request": {"prompt": "a"}}).json()
            with http.stream("GET", httpx.URL(job["events_url"]).path) as stream:
                lines = stream.iter_lines()
                # The job cannot end before the gate opens, so these were not held back.
                assert next(line for line in lines if line.startswith("event: ")) == "event: queued"
                assert next(line for line in lines if line == "event: progress")
                guarded.image.gate.set()
                assert next(line for line in lines if line == "event: completed")
    finally:
        guarded.image.gate.set()


def test_websockets_pass(tmp_path: Path) -> None:
    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve_websocket(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with (
            caddy(tmp_path, f"127.0.0.1:{server.socket.getsockname()[1]}") as front,
            connect(f"wss://localhost:{front.port}/v1/realtime", ssl=front.trusted) as socket,
        ):
            socket.send(b"\x00\x01")
            assert socket.recv() == b"\x00\x01"
        server.shutdown()
        thread.join()


def unit_command(**variables: str) -> list[str]:
    """The unit's ExecStart, with its variables as systemd puts them in, over those of the committed .env."""
    lines = (CONNECT / "carrot-reverse-tunnel.env").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if line[0] != "#") | variables
    [command] = re.findall(r"^ExecStart=(.*)$", (CONNECT / "carrot-reverse-tunnel.service").read_text(), re.MULTILINE)
    return [re.sub(r"\$\{(\w+)\}", lambda name: values[name[1]], word) for word in shlex.split(command)]


@contextlib.contextmanager
def reverse_tunnel(host: Sshd, studio_url: str, listen: int) -> Iterator[subprocess.Popen[bytes]]:
    command = unit_command(
        TUNNEL_TO=f"{getpass.getuser()}@127.0.0.1",
        TUNNEL_PORT=str(host.port),
        TUNNEL_LISTEN=str(listen),
        TUNNEL_KEY=str(host.folder / "user"),
        TUNNEL_KNOWN_HOSTS=str(host.known_hosts),
        STUDIO_PORT=str(httpx.URL(studio_url).port),
    )
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_units_tunnel_brings_the_studio_to_the_host(tmp_path: Path, guarded: Served) -> None:
    host, listen = Sshd(tmp_path / "host"), free_port()
    page = (ROOT / "docs" / "connect.md").read_text()
    [limits] = re.findall(r"`(restrict,\S+) ssh-ed25519", page)
    keys = host.folder / "authorized_keys"
    keys.write_text(f"{limits.replace('7860', str(listen))} {keys.read_text()}")
    host.start()

    def comes_through() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{listen}/health", headers=TOKEN).status_code == 200
        return False

    try:
        with reverse_tunnel(host, guarded.url, listen) as process:
            until(comes_through)
            host.kill()
            assert process.wait(30) != 0  # so that systemd starts it again
        host.start()
        with reverse_tunnel(host, guarded.url, listen):
            until(comes_through)
        with reverse_tunnel(host, guarded.url, free_port()) as process:
            assert process.wait(30) != 0  # the key may listen on its one port only
    finally:
        host.kill()
