"""Speech to text with Vosk, in worker processes on this machine."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

from engines.errors import EngineCrashed
from engines.events import OnEvent, Progress, SegmentHeard
from engines.requests import TranscribeRequest
from engines.results import Segment, SpeechModelInfo, Transcript, Word
from engines.speech.audio import DEFAULT_MAX_SECONDS
from engines.speech.marks import is_mark
from engines.speech.model import check_language, check_model_folder, read_model_info
from engines.speech.pool import WorkerPool
from engines.speech.process import Message, NotBegun, Timeouts, Worker


class VoskEngine:
    """A SpeechEngine over a Vosk model folder."""

    def __init__(
        self,
        model_folder: Path,
        *,
        workers: int = 2,
        recycle_after: int = 100,
        max_seconds: float = DEFAULT_MAX_SECONDS,
        timeouts: Timeouts | None = None,
    ) -> None:
        """Look at the folder, start nothing. Raises ModelMissing, ModelInvalid.

        `workers`: most files at once, each in its own process with its own copy of the model (about 300 MB for a small
        one), started when first needed. `recycle_after`: files after which a process is replaced, so that a slow leak
        in native code never adds up. `max_seconds`: longest recording.
        """
        check_model_folder(model_folder)
        self._info = read_model_info(model_folder)
        self._max_seconds = max_seconds
        # The working directory may change before a worker is started.
        folder = model_folder.resolve()
        patience = timeouts or Timeouts()
        self._pool = WorkerPool(start=lambda: Worker(folder, patience), size=workers, recycle_after=recycle_after)

    @property
    def info(self) -> SpeechModelInfo:
        return self._info

    def load(self) -> None:
        """Start one worker and wait until it has loaded the model; the others follow on demand."""
        with self._pool.lease(Event()):
            pass

    def check(self, request: TranscribeRequest) -> None:
        check_language(request.language, self._info)

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        self.check(request)
        path = file.resolve()
        segments: list[Segment] = []

        def on_message(message: Message) -> None:
            if message["event"] == "progress":
                on_event(_progress(message))
            elif segment := read_segment(message["words"]):
                segments.append(segment)
                on_event(SegmentHeard(segment))

        def attempt() -> Message:
            with self._pool.lease(cancel) as worker:
                return worker.run(path, self._max_seconds, on_message, cancel)

        try:
            done = attempt()
        except NotBegun:
            # A process that is being killed looks alive for a moment: the file gets one more.
            try:
                done = attempt()
            except NotBegun as error:
                raise EngineCrashed(str(error)) from error
        duration: float = done["duration"]
        on_event(Progress("transcribe", round(duration), round(duration), 1.0))
        return Transcript(
            text=" ".join(segment.text for segment in segments),
            segments=tuple(_within(segment, duration) for segment in segments),
            duration=duration,
            language=self._info.language,
            engine=self._info.name,
            where=self._info.where,
            demo=self._info.demo,
            note=self._note(damaged=done["damaged"]),
        )

    def close(self) -> None:
        self._pool.close()

    def _note(self, *, damaged: bool) -> str:
        notes = []
        if damaged:
            notes.append("Parts of the file are missing or damaged; this is the text of the rest.")
        if self._info.demo:
            notes.append(f"{self._info.label}. Use a full Vosk model for real speech.")
        return " ".join(notes)


def _progress(message: Message) -> Progress:
    seconds: float = message["seconds"]
    # Without a header's word on the length the fraction stays unknown, which is 0.
    estimate: float = message["estimate"] or 0.0
    total = max(estimate, seconds)
    # The last step is the result: until then something is left to do.
    return Progress("transcribe", round(seconds), round(total), min(seconds / estimate, 0.99) if estimate else 0.0)


def read_segment(words: list[dict[str, Any]]) -> Segment | None:
    """One utterance from the recogniser's words, or None when no known word is left in it."""
    known = tuple(
        Word(word=word["word"], start=word["start"], end=word["end"], confidence=min(max(word["conf"], 0.0), 1.0))
        for word in words
        if not is_mark(word["word"])
    )
    if not known:
        return None
    return Segment(text=" ".join(word.word for word in known), start=known[0].start, end=known[-1].end, words=known)


def _within(segment: Segment, duration: float) -> Segment:
    """The same with times inside the file: the recogniser counts in frames of 30 ms and may run over the end."""
    words = tuple(
        word.model_copy(update={"start": min(word.start, duration), "end": min(word.end, duration)})
        for word in segment.words
    )
    within = {"start": min(segment.start, duration), "end": min(segment.end, duration), "words": words}
    return segment.model_copy(update=within)
