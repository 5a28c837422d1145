"""Piece after piece of a file recognised by a child of the model's process, which is replaced when it dies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Event
from types import TracebackType
from typing import Any, Self

from engines.errors import EngineCrashed
from engines.speech.cores import Cores, Share
from engines.speech.process import Models, Task, TaskLost
from engines.speech.reading import Cut
from engines.wire import Message

RENEWED_AFTER = 15 * 60.0
"""Seconds of sound that one child hears. What it unfolds of a model's graph is kept for as long as it lives: 350 MB of
Vosk's small Korean model after 22 minutes. A new one has the voice to get used to again, for some seconds."""

Words = list[dict[str, Any]]
"""As the worker tells them: word, start, end, conf."""


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


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
