"""A file read and cut into pieces by a child of the model's process.

Sound waits in files without a name, a few pieces at most, so memory does not grow with the length of a recording.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from threading import Event
from typing import Any

from engines.errors import EngineCrashed, InvalidMedia
from engines.speech.pieces import SAMPLE_RATE, USUAL, Lengths
from engines.speech.process import Models, Task, TaskLost
from engines.wire import FILE_MARK


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
