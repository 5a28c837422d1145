"""How the studio and the speech service are served: the port first, then one uvicorn, which drains before it stops.

Uvicorn's own graceful shutdown closes the port at once, so a balancer or a client would see refused connections instead
of 503 with Retry-After while the last work finishes. Here the first SIGTERM or Ctrl-C only refuses new work; the server
answers on until the running work is done. Ctrl-C again ends the process at once, with status 130.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.concurrency import run_blocking

STOPPED = 0
CUT_SHORT = 1
NOT_STARTED = 3
"""Exit statuses: all work was finished; the time limit ended running work; the app could not start, and the log says
why (3 is uvicorn's own for that)."""

BACKLOG = 2048

MAX_MESSAGE_BYTES = 1024 * 1024
"""Of one WebSocket message: 10 s of sound at 48 kHz; who sends while somebody speaks sends far less at once."""

CLOSE_SECONDS = 3.0
"""For answers that are still on their way after the drain. Streams of browser pages never end by themselves."""

LAST_WORD_SECONDS = 1.0
"""For what a request says when it is ended, before its connection is."""

LAST_RESORT_SECONDS = 15.0
"""Closing engines and stores takes moments; what hangs there longer must not hold the exit."""


class PortRefused(Exception):
    """The address cannot be listened on; `str()` says why and what to do."""


class Work(Protocol):
    """What is to be finished before the server stops."""

    def drain(self) -> None:
        """Refuse new work from now on. Called once, on the event loop."""

    @property
    def idle(self) -> bool:
        """Nothing is running. Asked ten times a second during the drain, on the event loop."""

    def give_up(self) -> None:
        """End what still runs when the time is over, so that whoever waits for it is answered. May block."""


class WebSockets(WebSocketsSansIOProtocol):
    """The implementation that stops reading while the app has a message to take."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # A speaker's answer to a ping stands behind the sound that was sent before it. Where that waits to be heard, on
        # a machine with too much to do, the speaker is there all the same; who is not, sends no more sound.
        self.ping_timeout = None

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # Uvicorn 0.54 logs an app that answered a handshake by a refusal as one that never answered it.
            self.handshake_complete = True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already: who connects before the server runs waits instead of failing.

    Raises PortRefused.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # `localhost` is 127.0.0.1 first: what connects to that by number must find us.
        family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortRefused(_why(host, port, error)) from error
    # Without this a restart has to wait for the last connections' TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortRefused(_why(host, port, error)) from error
    listener.setblocking(False)
    return listener


def run(
    app: ASGIApp, listener: socket.socket, work: Work, *, drain_seconds: float, on_started: Callable[[], None]
) -> int:
    """Serve `app` on `listener` until told to stop, then for up to `drain_seconds` until `work` is idle.

    `on_started` is called in a thread once the server answers. Returns STOPPED or NOT_STARTED; ends the process with
    CUT_SHORT itself.
    """
    config = uvicorn.Config(
        app,
        # The one implementation whose connections `_end_connections` knows.
        http=H11Protocol,
        ws=WebSockets,
        ws_max_size=MAX_MESSAGE_BYTES,
        # app.logs has set the log up. No lines of requests: their addresses are what callers wrote.
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Forwarded addresses are believed from nobody: the peer is who calls.
        proxy_headers=False,
        # Node's clients reuse a connection for a minute; closing it under them shows as failed requests.
        timeout_keep_alive=75,
        # Never reached, unless a request goes on after it was cancelled.
        timeout_graceful_shutdown=round(CLOSE_SECONDS + 2 * LAST_WORD_SECONDS),
    )
    server = _DrainingServer(config, work, drain_seconds, on_started)
    server.run(sockets=[listener])
    if server.cut_short:
        # A thread deep in native code cannot be ended, and would hold the exit for as long as it likes.
        os._exit(CUT_SHORT)
    return STOPPED if server.started else NOT_STARTED


def say(line: str) -> None:
    """A line for whoever watches the terminal, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _DrainingServer(uvicorn.Server):
    """See `run`. `cut_short` says that work was still running at the end."""

    def __init__(
        self, config: uvicorn.Config, work: Work, drain_seconds: float, on_started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._work = work
        self._drain_seconds = drain_seconds
        self._on_started: Callable[[], None] | None = on_started
        self._asked_to_stop = False
        self._deadline: float | None = None
        self.cut_short = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        if self._asked_to_stop and sig == signal.SIGINT:
            os.write(2, b"\nStopped at once.\n")
            os._exit(130)
        # A handler may interrupt the holder of any lock, so it only notes the wish; the next tick acts on it.
        self._asked_to_stop = True

    async def on_tick(self, counter: int) -> bool:
        if self._on_started is not None:
            threading.Thread(target=self._on_started, daemon=True, name="started").start()
            self._on_started = None
        if self._asked_to_stop and not self.should_exit:
            await self._drain()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.create_task(self._end_connections())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _drain(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._drain_seconds
            self._work.drain()
            if not self._work.idle:
                say(
                    f"Stopping: running work has up to {self._drain_seconds:g} s to finish, new work is refused. "
                    "Ctrl-C stops at once."
                )
        if self._work.idle:
            self._exit_in_any_case(STOPPED)
            self.should_exit = True
        elif time.monotonic() >= self._deadline:
            self.cut_short = True
            self._exit_in_any_case(CUT_SHORT)
            await run_blocking(self._work.give_up)
            self.should_exit = True
            say(f"Stopped after {self._drain_seconds:g} s with work still running.")

    async def _end_connections(self) -> None:
        """End what is still open. Uvicorn would cancel all of it, and log each open page as an error.

        A stream ends as if its reader had left, which it expects at any time. A request that was not answered yet is
        cancelled, so that it can say so.
        """
        await asyncio.sleep(CLOSE_SECONDS)
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.cycle and connection.cycle.response_started:
                connection.transport.abort()
        await asyncio.sleep(LAST_WORD_SECONDS / 2)
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(LAST_WORD_SECONDS / 2)
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol):
                connection.transport.abort()

    def _exit_in_any_case(self, status: int) -> None:
        last_resort = threading.Timer(CLOSE_SECONDS + LAST_RESORT_SECONDS, os._exit, args=(status,))
        last_resort.daemon = True
        last_resort.start()


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1
        return f"Port {port} is taken by another program. Stop that one, or choose another port: --port {other}"
    if error.errno == errno.EACCES:
        return f"Port {port} is for root only. Choose one above 1023, e.g. --port 7860"
    return f"Cannot listen on {host} ({error.strerror}). Choose an address of this machine, e.g. --host 127.0.0.1"
