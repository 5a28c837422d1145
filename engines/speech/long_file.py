"""One file through the model's process: read and cut by one child, recognised piece by piece by others, told in order.

A thread for each core drives one recognising child, the caller's thread hears everything in the order of the file.
Sound waits in files without a name, a few pieces at most, so memory does not grow with the length of a recording.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

from engines.errors import Cancelled, EngineCrashed, InvalidMedia
from engines.speech.cores import POLL_SECONDS, Cores, Share
from engines.speech.pieces import SAMPLE_RATE, USUAL, Lengths
from engines.speech.process import Models, Task, TaskLost
from engines.wire import FILE_MARK, Message

AHEAD = 1
"""Pieces that are read before a core is free for them, beside one for each core."""

RENEWED_AFTER = 15 * 60.0
"""Seconds of sound that one child hears. What it unfolds of a model's graph is kept for as long as it lives: 350 MB of
Vosk's small Korean model after 22 minutes. A new one has the voice to get used to again, for some seconds."""

Words = list[dict[str, Any]]

OnUtterance = Callable[[float, Message], None]
"""Called with where its piece begins, seconds, and the worker's "segment"."""


@dataclass(slots=True)
class Cut:
    """One piece of a file, as a descriptor of its sound (16 kHz mono int16), with `lead` samples of what is before it.
    `start`, `samples`: where the piece itself begins and how long it is, counted in samples."""

    number: int
    start: int
    samples: int
    file: int
    lead: int = 0

    @property
    def begins(self) -> float:
        """Seconds from the beginning of the recording."""
        return self.start / SAMPLE_RATE

    @property
    def sound_begins(self) -> float:
        """As `begins`, with the lead."""
        return (self.start - self.lead) / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE

    def close(self) -> None:
        os.close(self.file)


class Reading:
    """A file that is read and cut into pieces by a child of its own."""

    def __init__(
        self, models: Models, path: Path, max_seconds: float, ahead: int, lengths: Lengths = USUAL, recognisers: int = 0
    ) -> None:
        """`ahead`: pieces that are read before one is given back by `done_with_one`. `recognisers`: see pieces.cut."""
        self._models = models
        self._task: dict[str, Any] = {
            "kind": "read",
            "path": str(path),
            "max_seconds": max_seconds,
            "ahead": ahead,
            "lengths": astuple(lengths),
            "recognisers": recognisers,
        }
        self._allowed = ahead
        self._lock = threading.Lock()
        self._child: Task | None = None
        self.estimate: float | None = None
        """The header's word on the length, seconds; known with the first piece."""
        self.duration = 0.0
        self.notes: list[str] = []
        """What of the file was left out, or chosen, in sentences."""

    def cuts(self, cancel: Event) -> Generator[Cut]:
        """The pieces in order; whoever takes one closes it. The whole is known after the last.

        Raises InvalidMedia, Cancelled, EngineCrashed.
        """
        try:
            try:
                yield from self._attempt(cancel)
            except TaskLost:
                if self.estimate is not None or self._child is None:
                    raise
                # A process that is being killed looks alive for a moment: the file gets one more.
                yield from self._attempt(cancel)
        except TaskLost as error:
            self._models.check_open(error)
            raise EngineCrashed(
                f"The speech engine could not read this file: {error}. Nothing else is lost. Try again; if it happens "
                "again, the file itself is the cause: save it in another format."
            ) from error

    def done_with_one(self) -> None:
        """Let one more piece be read."""
        with self._lock:
            self._allowed += 1
        if self._child:
            self._child.send({"more": 1})

    def _attempt(self, cancel: Event) -> Iterator[Cut]:
        number = 0
        with self._models.get(cancel).begin(**self._task) as self._child:
            for message in self._child.messages(cancel, awaited=lambda: self._allowed > 0):
                if message["event"] == "failed":
                    raise InvalidMedia(message["field"], message["message"])
                if message["event"] == "done":
                    self.duration, self.notes = message["duration"], message["notes"]
                    return
                # 0 where the header says nothing: None means that no piece has come.
                self.estimate = message["estimate"] or 0.0
                with self._lock:
                    self._allowed -= 1
                yield Cut(number, message["start"], message["samples"], message[FILE_MARK], message["lead"])
                number += 1


class Recogniser:
    """A child that recognises piece after piece, replaced when it dies; it takes a core for each, or for a part of a
    long one. For one thread."""

    def __init__(self, models: Models, cores: Cores, share: Share, how: Message) -> None:
        """`how`: what the recogniser is told at its start, as its worker.py describes it."""
        self._models = models
        self._cores = cores
        self._share = share
        self._how = how
        self._child: tuple[contextlib.ExitStack, Task] | None = None
        self._heard = 0.0
        """Seconds, by this child."""
        self._until = -1
        """The end of the last piece that it heard, in samples from the beginning of the recording."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._drop()

    def recognise(self, cut: Cut, on_message: Callable[[Message], None], cancel: Event) -> None:
        """Tell of one piece: "progress", "segment" (times from the piece's beginning), "again" before a second try.

        Raises Cancelled, EngineCrashed.
        """
        try:
            try:
                self._attempt(cut, on_message, cancel)
            except TaskLost:
                self._drop()
                on_message({"event": "again"})
                self._attempt(cut, on_message, cancel)
        except TaskLost as error:
            self._models.check_open(error)
            raise EngineCrashed(
                f"The speech engine failed twice at {_clock(cut.begins)} to {_clock(cut.begins + cut.seconds)} of "
                f"this file: {error}. Nothing else is lost. Try again; if it happens again, the file itself is the "
                "cause: save it in another format, or leave that part out."
            ) from error

    def _attempt(self, cut: Cut, on_message: Callable[[Message], None], cancel: Event) -> None:
        child: Task | None = None
        over = False
        while not over:
            with self._cores.take(self._share, cancel):
                if child is None:
                    child = self._begin(cut, cancel)
                else:
                    child.send({})
                over = self._turn(child, on_message, cancel)
        self._until = cut.start + cut.samples
        self._heard += cut.seconds
        if self._heard >= RENEWED_AFTER:
            self._drop()

    def _begin(self, cut: Cut, cancel: Event) -> Task:
        """Give a piece to the child. The lead is for one that has not just heard it."""
        if self._child is None:
            opened = contextlib.ExitStack()
            self._child = (opened, opened.enter_context(self._models.get(cancel).begin(kind="recognise", **self._how)))
        _, child = self._child
        child.send({"lead": cut.lead, "begin": cut.lead if self._until == cut.start else 0}, cut.file)
        return child

    def _turn(self, child: Task, on_message: Callable[[Message], None], cancel: Event) -> bool:
        """Hear what it tells until another file may have the core; True when the piece is done."""
        for message in child.messages(cancel):
            if message["event"] == "turn":
                return False
            if message["event"] != "done":
                on_message(message)
        return True

    def _drop(self) -> None:
        self._heard, self._until = 0.0, -1
        if self._child:
            self._child[0].close()
            self._child = None


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


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
