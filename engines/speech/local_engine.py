"""Speech to text by processes on this machine: what engines over a model's folder have in common.

A file is cut at its pauses and recognised on all cores; a live session has a child of its own.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import ClassVar

from engines.events import OnEvent, Progress, SegmentHeard
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import Segment, SpeechModelInfo, Transcript, Unused
from engines.speech import long_file
from engines.speech.cores import Cores
from engines.speech.live import ModelSession
from engines.speech.model import read_model_info
from engines.speech.pieces import ALONE, USUAL, Lengths
from engines.speech.process import ModelProcess, Models, Timeouts
from engines.speech.reading import Reading
from engines.speech.recogniser import Recogniser, Words
from engines.speech.segments import read_segment
from engines.speech.speakers import Voice, tell_apart
from engines.wire import Message


class LocalEngine(ABC):
    """A SpeechEngine whose model is in a process of its own, which works by children."""

    worker: ClassVar[str]
    """The module that the process runs; it speaks as worker.py does."""

    lengths: ClassVar[Lengths] = USUAL
    """Of the pieces that a file is cut into, where a recogniser hears one after another."""

    lengths_alone: ClassVar[Lengths] = ALONE
    """Where it hears one only."""

    def __init__(
        self, model_folder: Path, *, workers: int, max_seconds: float, timeouts: Timeouts | None, platform: str
    ) -> None:
        """Start nothing. `workers`: cores to recognise files on, of all files together; the model is in memory once.
        `max_seconds`: longest recording. Raises ModelInvalid for a broken description."""
        self._info = read_model_info(model_folder)
        self._max_seconds = max_seconds
        # The working directory may change before a process is started.
        self._folder = model_folder.resolve()
        patience = timeouts or Timeouts()
        self._models = Models(lambda: ModelProcess(self._folder, patience, platform, self.worker))
        self._cores = Cores(workers)

    @property
    def info(self) -> SpeechModelInfo:
        return self._info

    def load(self) -> None:
        """Start the model's process and wait until it has loaded the model."""
        self._models.get(Event())

    @abstractmethod
    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        """As of a SpeechEngine."""

    @abstractmethod
    def _how(self, request: TranscribeRequest | ListenRequest) -> Message:
        """What a task of this request's is told at its start, as the worker describes it."""

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        self.check(request)
        reading = self.read(file, self._cores.size + long_file.AHEAD, self._cores.size)
        segments: list[Segment] = []
        voices: list[Voice | None] = []

        def on_utterance(begins: float, told: Message) -> None:
            if segment := read_segment(told["words"], begins):
                segments.append(segment)
                voices.append(Voice(tuple(told["voice"]), told["frames"]) if "voice" in told else None)
                on_event(SegmentHeard(segment))

        def on_progress(seconds: float) -> None:
            on_event(_progress(seconds, reading.estimate or reading.duration))

        how = self._how(request)
        long_file.transcribe(self._models, self._cores, reading, how, on_utterance, on_progress, cancel)
        if request.speakers:
            letters = tell_apart(voices)
            segments = [
                segment.model_copy(update={"speaker": letter})
                for segment, letter in zip(segments, letters, strict=True)
            ]
        duration = reading.duration
        on_event(Progress("transcribe", round(duration), round(duration), 1.0))
        return self.transcript(segments, duration, reading.notes)

    def read(self, file: Path, ahead: int, recognisers: int = 0) -> Reading:
        """Read and cut a file, `ahead` pieces at most before one is done with. `recognisers`: see pieces.cut."""
        lengths = self.lengths if recognisers else self.lengths_alone
        return Reading(self._models, file.resolve(), self._max_seconds, ahead, lengths, recognisers)

    def segment(self, words: Words, begins: float) -> Segment | None:
        """An utterance of a piece that begins at `begins` seconds, or None without a known word."""
        return read_segment(words, begins)

    def transcript(self, segments: list[Segment], duration: float, notes: list[str]) -> Transcript:
        """What this engine heard in a recording of `duration` seconds."""
        return Transcript(
            text=" ".join(segment.text for segment in segments),
            segments=tuple(_within(segment, duration) for segment in segments),
            duration=duration,
            language=self._info.language,
            engine=self._info.name,
            where=self._info.where,
            demo=self._info.demo,
            note=self._note(notes),
        )

    @contextlib.contextmanager
    def recogniser(self, request: TranscribeRequest) -> Iterator[Recogniser]:
        """For single pieces of a file; all of one share its turns."""
        how = self._how(request)
        with self._cores.share() as share, Recogniser(self._models, self._cores, share, how) as recogniser:
            yield recogniser

    def listen(self, request: ListenRequest, cancel: Event) -> ModelSession:
        self.check(request)
        return ModelSession(self._models, request.sample_rate, self._how(request), cancel)

    def close(self) -> None:
        self._models.close()

    def _note(self, heard: list[str]) -> str:
        notes = list(heard)
        if self._info.demo:
            notes.append(f"{self._info.label}. Use a full Vosk model for real speech.")
        return " ".join(notes)


def _progress(seconds: float, estimate: float) -> Progress:
    # Without a header's word on the length the fraction stays unknown, which is 0.
    total = max(estimate, seconds)
    # The last step is the result: until then something is left to do.
    return Progress("transcribe", round(seconds), round(total), min(seconds / estimate, 0.99) if estimate else 0.0)


def _within(segment: Segment, duration: float) -> Segment:
    """The same with times inside the file: the recogniser counts in frames of 30 ms and may run over the end."""
    words = tuple(
        word.model_copy(update={"start": min(word.start, duration), "end": min(word.end, duration)})
        for word in segment.words
    )
    within = {"start": min(segment.start, duration), "end": min(segment.end, duration), "words": words}
    return segment.model_copy(update=within)
