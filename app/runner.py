"""A uvicorn server that drains: after the first SIGTERM or Ctrl-C it goes on answering until the running work is done.

Uvicorn's own graceful shutdown closes the port at once, so a balancer or a client would see refused connections instead
of 503 with Retry-After while the last work finishes.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from app.concurrency import run_blocking

CLOSE_SECONDS = 3
"""For connections that are still open after the drain: streams of browser pages never end by themselves."""

LAST_RESORT_SECONDS = 15.0
"""Closing engines and stores takes moments; what hangs there longer must not hold the exit."""


class DrainingServer(uvicorn.Server):
    """Runs an app until told to stop, then until `busy` is False or `drain_seconds` have passed.

    `start_drain` is called once: new work is to be refused from then on. `give_up` is called in a thread when the time
    is over and connections are still open: unfinished work is to end, so that whoever waits for it is answered.
    `on_started` is called in a thread once the server answers. Ctrl-C during the drain ends the process at once.
    `cut_short` says that work was still running.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        start_drain: Callable[[], None],
        busy: Callable[[], bool],
        drain_seconds: float,
        give_up: Callable[[], None],
        on_started: Callable[[], None] | None = None,
    ) -> None:
        config.timeout_graceful_shutdown = CLOSE_SECONDS
        super().__init__(config)
        self._start_drain = start_drain
        self._busy = busy
        self._give_up = give_up
        self._drain_seconds = drain_seconds
        self._on_started = on_started
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

    async def _drain(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._drain_seconds
            self._start_drain()
            if self._busy():
                _say(
                    f"Stopping: running work has up to {self._drain_seconds:g} s to finish, new work is refused. "
                    "Ctrl-C stops at once."
                )
        if not self._busy():
            self._exit_in_any_case(0)
            self.should_exit = True
        elif time.monotonic() >= self._deadline:
            self.cut_short = True
            self._exit_in_any_case(1)
            await run_blocking(self._give_up)
            self.should_exit = True
            _say(f"Stopped after {self._drain_seconds:g} s with work still running.")

    def _exit_in_any_case(self, status: int) -> None:
        last_resort = threading.Timer(CLOSE_SECONDS + LAST_RESORT_SECONDS, os._exit, args=(status,))
        last_resort.daemon = True
        last_resort.start()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
