"""A few worker processes, handed out one caller at a time, replaced when they die or have done enough files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from threading import Condition, Event

from engines.errors import Cancelled, EngineCrashed, ModelInvalid, ServiceUnavailable
from engines.speech.process import POLL_SECONDS, Worker


class WorkerPool:
    """Starts workers as they are needed, `size` at most. Thread-safe."""

    def __init__(self, start: Callable[[], Worker], size: int, recycle_after: int) -> None:
        self._start = start
        self._size = size
        self._recycle_after = recycle_after
        self._changed = Condition()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._closed = False

    @contextlib.contextmanager
    def lease(self, cancel: Event) -> Iterator[Worker]:
        """A ready worker for the time of the block. Waits while all are taken.

        Raises Cancelled, ModelInvalid, and ServiceUnavailable when the pool is or gets closed.
        """
        worker = self._take(cancel)
        try:
            worker.wait_ready(cancel)
            yield worker
        except (EngineCrashed, ModelInvalid) as error:
            if self._closed:
                raise ServiceUnavailable("The speech engine was shut down while it worked on this file.") from error
            raise
        finally:
            self._give_back(worker)

    def close(self) -> None:
        """End every worker; callers in the middle of a file get an error. Idempotent."""
        with self._changed:
            self._closed = True
            workers = list(self._all)
            self._all.clear()
            self._idle.clear()
            self._changed.notify_all()
        for worker in workers:
            worker.end()

    def _take(self, cancel: Event) -> Worker:
        with self._changed:
            while True:
                if cancel.is_set():
                    raise Cancelled
                if self._closed:
                    raise ServiceUnavailable("The speech engine is shutting down: try again in a moment.")
                if self._idle:
                    worker = self._idle.pop()
                    if worker.usable:
                        return worker
                    # It died between two files (killed for memory, say): nobody's request is lost.
                    self._all.discard(worker)
                    worker.end()
                if len(self._all) < self._size:
                    return self._add()
                self._changed.wait(POLL_SECONDS)

    def _add(self) -> Worker:
        worker = self._start()
        self._all.add(worker)
        return worker

    def _give_back(self, worker: Worker) -> None:
        spent = not worker.usable or worker.files >= self._recycle_after
        with self._changed:
            known = worker in self._all
            if known and spent:
                self._all.discard(worker)
                if worker.files:
                    # Loads in its own time, so that the next caller finds it ready. One that died while loading is
                    # not replaced before somebody asks again: it would die for ever.
                    self._idle.append(self._add())
            elif known:
                self._idle.append(worker)
            self._changed.notify()
        if spent:
            worker.end()
