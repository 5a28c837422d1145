"""The studio's side of a live session: its sound at the recogniser's rate to a child of the model's process, its words
back. The child, which worker.py describes, answers each frame."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Event

from engines.errors import EngineCrashed
from engines.results import Heard
from engines.speech.marks import is_mark
from engines.speech.mono import SAMPLE_RATE
from engines.speech.process import Models, TaskLost
from engines.speech.recording import BYTES_PER_SAMPLE
from engines.speech.segments import read_segment
from engines.speech.stream import Resampler
from engines.wire import Message


class ModelSession:
    """A LiveSession in a child of its own, beside all files."""

    def __init__(self, models: Models, sample_rate: int, how: Message, cancel: Event) -> None:
        """`how`: what the child is told, as its worker describes it. Raises Cancelled, ModelInvalid,
        ServiceUnavailable."""
        self._models = models
        self._cancel = cancel
        self._resampler = Resampler(sample_rate)
        self._bytes = 0
        self._open = ExitStack()
        self._task = self._open.enter_context(models.get(cancel).begin(kind="live", **how))

    def accept(self, sound: bytes) -> Heard:
        resampled = self._resampler.resampled(sound)
        # What is too short to be told at the recogniser's rate yet; an empty frame would be a flush.
        return self._heard(resampled) if resampled else Heard(seconds=self._seconds)

    def flush(self) -> Heard:
        # What the filter still holds is the end of the last word.
        rest = self._resampler.flush()
        first = self._heard(rest) if rest else Heard()
        last = self._heard(b"")
        return Heard((*first.segments, *last.segments), "", last.seconds)

    def close(self) -> None:
        self._open.close()

    @property
    def _seconds(self) -> float:
        return self._bytes / BYTES_PER_SAMPLE / SAMPLE_RATE

    def _heard(self, sound: bytes) -> Heard:
        self._bytes += len(sound)
        answer = self._ask(len(sound).to_bytes(4, "little") + sound)
        segments = tuple(filter(None, map(read_segment, answer["segments"])))
        partial = " ".join(word for word in answer["partial"].split() if not is_mark(word))
        return Heard(segments, partial, self._seconds)

    def _ask(self, frame: bytes) -> Message:
        try:
            self._task.send_bytes(frame)
            return next(self._task.messages(self._cancel))
        except TaskLost as error:
            self._models.check_open(error)
            raise EngineCrashed(f"The speech engine lost this session: {error}. Begin a new one.") from error
