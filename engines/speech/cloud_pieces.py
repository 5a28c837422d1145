"""A long file to a transcription service piece by piece, side by side: its instances share the work.

A piece that the service does not manage is recognised here. When the service is away as a whole, so is all the rest.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol, TypeVar, runtime_checkable

from engines.errors import InvalidMedia
from engines.events import OnEvent, Progress, SegmentHeard
from engines.requests import TranscribeRequest
from engines.results import Segment, Transcript, Word
from engines.speech.cloud_client import WHERE, CallFailed
from engines.speech.reading import Cut, Reading
from engines.speech.recogniser import Recogniser, Words

FAILURES_IN_A_ROW = 2
"""Pieces that failed with all their tries and none that came through: the service is away."""

T = TypeVar("T")

Send = Callable[[bytes], Awaitable[Transcript]]
"""Sends one piece as FLAC, with retries. Raises CallFailed, InvalidRequest."""


@runtime_checkable
class PieceEngine(Protocol):
    """A local engine that can cut a file and recognise single pieces of it."""

    def read(self, file: Path, ahead: int) -> Reading:
        """Cut the file."""

    def recogniser(self, request: TranscribeRequest) -> AbstractContextManager[Recogniser]:
        """For pieces of one file."""

    def segment(self, words: Words, begins: float) -> Segment | None:
        """An utterance of a piece that begins at `begins` seconds, or None without a known word."""

    def transcript(self, segments: list[Segment], duration: float, notes: list[str]) -> Transcript:
        """What the engine would answer with these segments."""


@dataclass(slots=True)
class Sending:
    """One file on its way. `first`: read already. Told of on the caller's thread, in the order of the file."""

    local: PieceEngine
    request: TranscribeRequest
    reading: Reading
    cuts: Iterator[Cut]
    first: list[Cut]
    send: Send
    at_once: int
    on_event: OnEvent
    stop: Event
    _heard: dict[int, list[Segment]] = field(default_factory=dict)
    _told: list[Segment] = field(default_factory=list)
    _head: int = 0
    _seconds: float = 0.0
    _answers: list[Transcript] = field(default_factory=list)
    _here: int = 0
    _failed: int = 0
    _reason: str = ""

    async def run(self) -> Transcript:
        """Raises what reading the file, the service's refusal of the request, or the local engine raises."""
        free = asyncio.Semaphore(self.at_once)
        with ThreadPoolExecutor(self.at_once + 1, "speech-piece") as threads:
            try:
                async with asyncio.TaskGroup() as tasks:
                    while cut := self.first.pop(0) if self.first else await _in(threads, lambda: next(self.cuts, None)):
                        tasks.create_task(self._one(cut, free, threads))
            except ExceptionGroup as group:
                # One reason is enough, and the caller's own kind of error.
                raise group.exceptions[0] from None
            finally:
                self.stop.set()
        return self._whole()

    async def _one(self, cut: Cut, free: asyncio.Semaphore, threads: ThreadPoolExecutor) -> None:
        with closing(cut):
            async with free:
                heard = await self._remotely(cut, threads)
                if heard is None:
                    heard = await _in(threads, lambda: self._locally(cut))
                self._heard[cut.number] = heard
        self.reading.done_with_one()
        self._tell(cut)

    async def _remotely(self, cut: Cut, threads: ThreadPoolExecutor) -> list[Segment] | None:
        """None where the service failed."""
        if self._failed >= FAILURES_IN_A_ROW:
            return None
        try:
            answer = await self.send(await _in(threads, lambda: _flac_of(cut)))
        except CallFailed as error:
            self._reason = error.reason
            # What a retry cannot mend (a refused token, say) would be the same for every piece.
            self._failed += 1 if error.retry else FAILURES_IN_A_ROW
            return None
        except InvalidMedia as error:
            # The sound is our own, so the file is not to blame.
            self._reason = f"refused a piece ({error})"
            return None
        self._failed = 0
        self._answers.append(answer)
        return _own([_moved(segment, cut.sound_begins) for segment in answer.segments], cut)

    def _locally(self, cut: Cut) -> list[Segment]:
        heard: list[Words] = []

        def on_message(message: dict[str, object]) -> None:
            if message["event"] == "again":
                heard.clear()
            elif message["event"] == "segment":
                heard.append(message["words"])  # type: ignore[arg-type]

        with self.local.recogniser(self.request) as recogniser:
            recogniser.recognise(cut, on_message, self.stop)
        self._here += 1
        return [segment for words in heard if (segment := self.local.segment(words, cut.begins))]

    def _tell(self, cut: Cut) -> None:
        self._seconds += cut.seconds
        while (segments := self._heard.pop(self._head, None)) is not None:
            self._head += 1
            for segment in segments:
                self._told.append(segment)
                self.on_event(SegmentHeard(segment))
        total = max(self.reading.estimate or self.reading.duration, self._seconds)
        self.on_event(Progress("transcribe", round(self._seconds), round(total), min(self._seconds / total, 0.99)))

    def _whole(self) -> Transcript:
        whole = self.local.transcript(self._told, self.reading.duration, self.reading.notes)
        note = whole.note
        if self._answers:
            first = self._answers[0]
            about = {"where": WHERE, "engine": first.engine, "demo": first.demo, "language": first.language}
            whole = whole.model_copy(update=about)
        if self._here:
            part = f"{self._here} of {self._head} pieces of this were" if self._answers else "this was"
            note = (
                f"The transcription service {self._reason}, so {part} transcribed by the local engine. {note}".strip()
            )
        return whole.model_copy(update={"note": note})


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)


def _flac_of(cut: Cut) -> bytes:
    # ffmpeg's libraries take a tenth of a second to import: a studio without a service does without.
    from engines.speech.flac import to_flac

    return to_flac(os.pread(cut.file, (cut.lead + cut.samples) * 2, 0))


def _moved(segment: Segment, begins: float) -> Segment:
    words = tuple(
        word.model_copy(update={"start": begins + word.start, "end": begins + word.end}) for word in segment.words
    )
    return segment.model_copy(update={"start": begins + segment.start, "end": begins + segment.end, "words": words})


def _own(segments: Iterable[Segment], cut: Cut) -> list[Segment]:
    """Without the words of the lead, which are the piece's before."""
    own = []
    for segment in segments:
        words = tuple(word for word in segment.words if _middle(word) >= cut.begins)
        if len(words) == len(segment.words):
            # Some services tell no words.
            own += [segment] if words or _middle(segment) >= cut.begins else []
        elif words:
            text = " ".join(word.word for word in words)
            own.append(Segment(text=text, start=words[0].start, end=words[-1].end, words=words))
    return own


def _middle(heard: Segment | Word) -> float:
    return (heard.start + heard.end) / 2
