"""Which file's next piece, or part of one, may be recognised now: the cores of this machine, shared turn by turn."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from threading import Condition, Event

from engines.errors import Cancelled

POLL_SECONDS = 0.05
"""How often a waiting caller looks at its cancel event."""


class Share:
    """One open file's part of the cores."""

    def __init__(self, order: int) -> None:
        self.running = 0
        self.waiting = 0
        self.order = order


class Cores:
    """As many pieces at once as there are cores. Thread-safe.

    A free core goes to the file that uses fewest, so that a short file overtakes the backlog of a long one; among
    equals to the one that has waited longest.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._turns = itertools.count()
        self._shares: set[Share] = set()
        self._changed = Condition()

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """A file's share for the time of the block."""
        share = Share(next(self._turns))
        with self._changed:
            self._shares.add(share)
        try:
            yield share
        finally:
            with self._changed:
                self._shares.discard(share)

    @contextlib.contextmanager
    def take(self, share: Share, cancel: Event) -> Iterator[None]:
        """One core for the time of the block. Raises Cancelled if `cancel` is set before one is free."""
        with self._changed:
            share.waiting += 1
            try:
                while not (self._free and share is self._next()):
                    if cancel.is_set():
                        raise Cancelled
                    self._changed.wait(POLL_SECONDS)
            finally:
                share.waiting -= 1
            self._free -= 1
            share.running += 1
            share.order = next(self._turns)
            # There may be another core, and whose turn it is has changed.
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                share.running -= 1
                self._changed.notify_all()

    def _next(self) -> Share:
        return min((one for one in self._shares if one.waiting), key=lambda one: (one.running, one.order))
