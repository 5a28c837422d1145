"""One file through the model's process: read and cut by one child, recognised piece by piece by others, told in order.

A thread for each core drives one recognising child, the caller's thread hears everything in the order of the file.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from types import TracebackType
from typing import Self

from engines.errors import Cancelled
from engines.speech.cores import POLL_SECONDS, Cores, Share
from engines.speech.process import Models
from engines.speech.reading import Cut, Reading
from engines.speech.recogniser import Recogniser
from engines.wire import Message

AHEAD = 1
"""Pieces that are read before a core is free for them, beside one for each core."""

OnUtterance = Callable[[float, Message], None]
"""Called with where its piece begins, seconds, and the worker's "segment"."""


class InOrder:
    """Puts what the pieces tell into the order of the file, each as soon as all before it are known."""

    def __init__(self, on_utterance: OnUtterance) -> None:
        self._on_utterance = on_utterance
        self._head = 0
        self._until = 0.0
        """The end of what was told of the head's piece, seconds from its beginning."""
        self._begins: dict[int, float] = {}
        self._known: defaultdict[int, list[Message]] = defaultdict(list)
        self._done: set[int] = set()
        self._seconds: defaultdict[int, float] = defaultdict(float)

    @property
    def seconds(self) -> float:
        """Sound recognised so far."""
        return sum(self._seconds.values())

    def take(self, cut: Cut, message: Message) -> None:
        self._begins[cut.number] = cut.begins
        match message["event"]:
            case "progress":
                self._seconds[cut.number] = message["seconds"]
            case "segment":
                self._known[cut.number].append(message)
            case "again":
                # Another recogniser may hear other words: what was told stays told, and what comes behind it follows.
                self._known[cut.number].clear()
            case "done":
                self._seconds[cut.number] = cut.seconds
                self._done.add(cut.number)
        self._tell()

    def _tell(self) -> None:
        while True:
            known = self._known[self._head]
            while known:
                utterance = known.pop(0)
                if words := [word for word in utterance["words"] if word["start"] >= self._until]:
                    self._until = words[-1]["end"]
                    self._on_utterance(self._begins[self._head], {**utterance, "words": words})
            if self._head not in self._done:
                return
            del self._known[self._head], self._begins[self._head]
            self._head, self._until = self._head + 1, 0.0


class Threads:
    """One that reads a file, and one for each core that drives a recogniser. They tell the caller's thread, and only
    that calls back."""

    def __init__(self, models: Models, cores: Cores, share: Share, reading: Reading, how: Message) -> None:
        self._new_recogniser = partial(Recogniser, models, cores, share, how)
        self._reading = reading
        self._stop = Event()
        self._waiting: list[queue.SimpleQueue[Cut | None]] = [queue.SimpleQueue() for _ in range(cores.size)]
        self._told: queue.SimpleQueue[tuple[Cut, Message] | BaseException | None] = queue.SimpleQueue()
        works = (self._read, *(partial(self._drive, mine) for mine in self._waiting))
        self._threads = [threading.Thread(target=self._run, args=(work,), daemon=True) for work in works]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        for mine in self._waiting:
            mine.put(None)
        for thread in self._threads:
            thread.join()
        for mine in self._waiting:
            while not mine.empty():
                if cut := mine.get():
                    cut.close()

    def told(self, cancel: Event) -> Iterator[tuple[Cut, Message]]:
        """What recognisers tell of their pieces, and "done" of each, until the whole file is.

        Raises what a thread raised, and Cancelled.
        """
        running = len(self._threads)
        while running:
            if cancel.is_set():
                raise Cancelled
            try:
                item = self._told.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._told.put(None)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self._told.put(error)

    def _read(self) -> None:
        # To the recogniser with the least sound so far, and not to the first that is free: what one has heard before
        # has a part in its words, which are to be the same each time.
        seconds = [0.0] * len(self._waiting)
        for cut in self._reading.cuts(self._stop):
            least = seconds.index(min(seconds))
            seconds[least] += cut.seconds
            self._waiting[least].put(cut)
        for mine in self._waiting:
            mine.put(None)

    def _drive(self, mine: queue.SimpleQueue[Cut | None]) -> None:
        with self._new_recogniser() as recogniser:
            while cut := mine.get():
                with contextlib.closing(cut):
                    recogniser.recognise(cut, partial(self._tell, cut), self._stop)
                self._reading.done_with_one()
                self._tell(cut, {"event": "done"})

    def _tell(self, cut: Cut, message: Message) -> None:
        self._told.put((cut, message))


def transcribe(
    models: Models,
    cores: Cores,
    reading: Reading,
    how: Message,
    on_utterance: OnUtterance,
    on_progress: Callable[[float], None],
    cancel: Event,
) -> None:
    """Recognise a whole file on as many cores as there are pieces and turns.

    `how`: see Recogniser. `on_progress`: seconds of sound done. Both callbacks on the caller's thread.
    Raises InvalidMedia, Cancelled, EngineCrashed, ModelInvalid, ServiceUnavailable.
    """
    order = InOrder(on_utterance)
    with cores.share() as share, Threads(models, cores, share, reading, how) as threads:
        for cut, message in threads.told(cancel):
            order.take(cut, message)
            on_progress(order.seconds)
