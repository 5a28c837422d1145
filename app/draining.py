"""A uvicorn server that drains: after the first SIGTERM or Ctrl-C it goes on answering until the running work is done.

Uvicorn's own graceful shutdown closes the port at once, so a balancer or a client would see refused connections instead
of 503 with Retry-After while the last work finishes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FrameType

import uvicorn

CLOSE_SECONDS = 3
"""For connections that are still open after the drain: streams of browser pages never end by themselves."""


class DrainingServer(uvicorn.Server):
    """Runs an app until told to stop, then until `busy` is False or `drain_seconds` have passed.

    `start_drain` is called once, from the signal handler: it only sets a flag that makes new work be refused. A second
    signal stops at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        start_drain: Callable[[], None],
        busy: Callable[[], bool],
        drain_seconds: float,
    ) -> None:
        config.timeout_graceful_shutdown = CLOSE_SECONDS
        super().__init__(config)
        self._start_drain = start_drain
        self._busy = busy
        self._drain_seconds = drain_seconds
        self._deadline: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._drain_seconds
            self._start_drain()
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._deadline is not None and (not self._busy() or time.monotonic() > self._deadline):
            self.should_exit = True
        return await super().on_tick(counter)
