"""Runs the studio on its port: binds it first, says once where everything is, and drains before it stops."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from app.cli import version
from app.settings import Settings, is_loopback
from engines.errors import StudioError

if TYPE_CHECKING:
    from fastapi import FastAPI

# Connections that never end (a page's /heartbeat, a stream of events) are cut after this once the work is done.
CLOSE_SECONDS = 3
# Closing engines and stores takes moments; whatever hangs there longer must not hold the exit.
LAST_RESORT_SECONDS = 15.0
CUT_SHORT = 1
"""Exit status when the limit ended running work."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a server has to know of the work behind it in order to stop well. `idle` must answer at once."""

    drain: Callable[[], None]
    idle: Callable[[], bool]


def main(settings: Settings) -> int:
    """Serve until told to stop. 0 after a stop that cut nothing short."""
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        sys.stderr.write(f"{_why_not_bound(settings.host, settings.port, error)}\n")
        return 1
    # Only now the slow imports: a taken port is told at once, and who opens the page already waits instead of failing.
    from app.server import create_app
    from app.wiring import build_studio, describe

    try:
        studio = build_studio(settings)
    except StudioError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    app = create_app(studio)
    work = Work(studio.jobs.drain, lambda: studio.jobs.idle)
    return serve(
        app,
        listener,
        work,
        drain_seconds=settings.drain_seconds,
        welcome=lambda: welcome(settings, describe(settings, studio)),
    )


def serve(
    app: FastAPI, listener: socket.socket, work: Work, *, drain_seconds: int, welcome: Callable[[], str] | None = None
) -> int:
    """Serve `app` until SIGTERM or Ctrl-C, then drain. `welcome` is said once the server answers."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Forwarded addresses are believed from nobody: the peer is who calls.
        proxy_headers=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        # Node's clients reuse a connection for a minute; closing it under them shows as failed requests.
        timeout_keep_alive=75,
    )
    server = DrainingServer(config, work, drain_seconds, welcome)
    server.run(sockets=[listener])
    if server.cut_short:
        # A thread deep in native code cannot be ended and would hold the exit for as long as it likes.
        sys.stdout.flush()
        os._exit(CUT_SHORT)
    return 0


class DrainingServer(uvicorn.Server):
    """A first SIGTERM or Ctrl-C lets running work finish; Ctrl-C after that ends the process at once."""

    def __init__(
        self, config: uvicorn.Config, work: Work, drain_seconds: int, welcome: Callable[[], str] | None = None
    ) -> None:
        super().__init__(config)
        self._work = work
        self._limit = drain_seconds
        self._welcome = welcome
        self._asked_to_stop = False
        self._deadline: float | None = None
        self.cut_short = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        # A signal handler may interrupt anything, locks held: it notes the wish, and the next tick acts on it.
        if self._asked_to_stop and sig == signal.SIGINT:
            os.write(
                sys.stderr.fileno(),
                b"\nStopped at once. What was running is marked as interrupted at the next start.\n",
            )
            os._exit(130)
        self._asked_to_stop = True

    async def on_tick(self, counter: int) -> bool:
        if self._welcome is not None:
            threading.Thread(target=_say_when_known, args=(self._welcome,), daemon=True).start()
            self._welcome = None
        if self._asked_to_stop:
            self._drain()
        return await super().on_tick(counter)

    def _drain(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._limit
            self._work.drain()
            if not self._work.idle():
                _say(
                    f"Stopping: running work has up to {self._limit} s to finish, new work is refused. "
                    "Ctrl-C stops at once."
                )
        if self._work.idle():
            self.should_exit = True
        elif time.monotonic() >= self._deadline:
            self.cut_short = self.should_exit = True
            _say(
                f"Stopped after {self._limit} s with work still running; it is marked as interrupted at the next start."
            )
        if self.should_exit:
            last_resort = threading.Timer(CLOSE_SECONDS + LAST_RESORT_SECONDS, os._exit, args=(CUT_SHORT,))
            last_resort.daemon = True
            last_resort.start()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, or OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # `localhost` is 127.0.0.1 first: what connects to that by number must find us.
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    # Without this a restart has to wait for the last connections' TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _why_not_bound(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken by another program. Stop that one, or choose another port: --port {_other(port)}"
    if error.errno == errno.EACCES:
        return f"Port {port} is for root only. Choose one above 1023: --port 7860"
    return f"Cannot listen on {host} ({error.strerror}): --host wants an address of this machine, e.g. --host 127.0.0.1"


def _other(port: int) -> int:
    return port + 1 if port < 65535 else port - 1


def welcome(settings: Settings, engines: Sequence[str]) -> str:
    """The one block that a person sees after the start."""
    port = settings.port
    local = is_loopback(settings.host)
    anywhere = settings.host in ("0.0.0.0", "::")
    bound = f"[{settings.host}]" if ":" in settings.host else settings.host
    page = f"http://localhost:{port}" if local or anywhere else f"http://{bound}:{port}"
    lines = [
        f"Page     {page}   (for programs: {page}/docs and {page}/?view=api)",
        *engines,
        f"Access   {_access(settings, local)}",
    ]
    if local or anywhere:
        lines.append(
            f"Tunnel   ssh -N -L {port}:localhost:{port} root@HOST -p PORT   (on your machine; then open {page})"
        )
    lines.append(
        f"Stop     Ctrl-C; running work gets up to {settings.drain_seconds} s to finish, a second Ctrl-C stops at once"
    )
    return "\n".join([f"Carrot Studio {version()}", *(f"  {line}" for line in lines)])


def _access(settings: Settings, local: bool) -> str:
    who = "this machine only" if local else f"every machine that reaches {settings.host}:{settings.port}"
    return f"{who}, {'with a token from STUDIO_API_TOKENS' if settings.api_tokens else 'no token asked'}"


def _say_when_known(welcome: Callable[[], str]) -> None:
    _say(welcome())


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
