"""One lane per device: the only way to it. Work waits here in order and runs on the lane's own threads."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from app.jobs.model import QueueFull
from engines.errors import StudioError

log = logging.getLogger(__name__)


class LaneState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """`waiting` and `running` count jobs; `problem` says why a failed lane failed, and the remedy."""

    name: str
    state: LaneState
    waiting: int
    running: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One piece of work in a lane. `run` gets the lane's load error, or None; it must not raise."""

    id: str
    run: Callable[[StudioError | None], None]


class Lane:
    """Runs at most `width` tickets at once, first come first served, and holds at most `capacity` more.

    The first thread calls `load` before any work, so a slow model does not hold up the start of the server; tickets
    may be added meanwhile. If loading fails, each ticket is run with the error, and so are later ones.
    """

    def __init__(self, name: str, load: Callable[[], None], *, width: int = 1, capacity: int = 32) -> None:
        self.name = name
        self._load = load
        self._width = width
        self._capacity = capacity
        self._changed = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._running = 0
        self._state = LaneState.LOADING
        self._problem: StudioError | None = None
        self._closing = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        # Daemons: a native call that never returns must not keep the process alive after the drain limit.
        first = threading.Thread(target=self._first, name=f"{self.name}-lane-0", daemon=True)
        self._threads.append(first)
        first.start()

    def add(self, ticket: Ticket) -> None:
        """Queue a ticket. Raises QueueFull."""
        with self._changed:
            if len(self._waiting) >= self._capacity:
                raise QueueFull(f"{self._capacity} {self.name} jobs are waiting already. Try again in a moment.")
            self._waiting.append(ticket)
            self._changed.notify()

    def remove(self, ticket_id: str) -> bool:
        """Take a waiting ticket back; False if it runs already or is not here."""
        with self._changed:
            for ticket in self._waiting:
                if ticket.id == ticket_id:
                    self._waiting.remove(ticket)
                    return True
        return False

    def waiting_ids(self) -> list[str]:
        with self._changed:
            return [ticket.id for ticket in self._waiting]

    @property
    def status(self) -> LaneStatus:
        with self._changed:
            problem = "" if self._problem is None else str(self._problem)
            return LaneStatus(self.name, self._state, len(self._waiting), self._running, problem)

    def close(self, timeout: float) -> None:
        """End the threads after the work in hand; waits at most `timeout` seconds for them."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout)

    def _first(self) -> None:
        problem: StudioError | None = None
        try:
            self._load()
        except StudioError as error:
            problem = error
        except Exception as error:
            # The lane must go on to tell its callers, whatever the loader raised. No user's words are in it yet.
            log.exception("the %s engine could not be loaded: %s", self.name, error)
            problem = StudioError(f"The {self.name} engine could not be loaded; the server's log says why.")
        with self._changed:
            self._problem = problem
            self._state = LaneState.READY if problem is None else LaneState.FAILED
            for number in range(1, self._width):
                thread = threading.Thread(target=self._work, name=f"{self.name}-lane-{number}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._work()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                ticket = self._waiting.popleft()
                self._running += 1
            try:
                ticket.run(self._problem)
            finally:
                with self._changed:
                    self._running -= 1
