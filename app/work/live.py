"""The kind `live`: one speaker's sound to text while it comes, and a transcript like any other at the end.

The sound is not stored before the job, as a file is: it comes over a connection, through a `Feed` that the connection
and the job's run share. A run that finds no feed, after a restart of the server, has nobody to listen to.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Annotated, ClassVar

from pydantic import Field

from app.jobs.model import Context, Edit, Kind, Listing, Received
from app.work.cards import TranscriptCard, listed_transcript
from app.work.speech import TranscriptionRequest, TranscriptionResult, transcript_files
from engines.errors import Cancelled, InvalidRequest, StudioError
from engines.events import SegmentHeard
from engines.protocols import SpeechEngine
from engines.requests import Correction, Corrections, ListenRequest, Request, TranscribeRequest
from engines.results import Corrected, Heard, Segment, SpeechModelInfo, Transcript, Unused
from engines.speech.corrections import correct_segment
from engines.speech.recording import SoundFile

DEVICE = "live"

FILENAME = "recording"
"""What a session's files are named after."""

POLL_SECONDS = 0.1
"""How often a run that waits for sound looks at its cancel event."""


class SpeakerGone(StudioError):
    """The connection that the sound came over ended with the process."""

    code = "interrupted"
    status = 503

    def __init__(self) -> None:
        super().__init__("The studio stopped in the middle of this live session, which is over. Begin a new one.")


@dataclass(frozen=True, slots=True)
class _Flush:
    """Settle what was said so far."""


@dataclass(frozen=True, slots=True)
class _End:
    """There is no more sound. `keep` False: and nobody wants the text."""

    keep: bool


class Feed:
    """Sound on its way to a run, and what was heard on its way back: one answer to each sound and flush, in order,
    then None.

    `on_heard` is called in the run's thread and must not wait. The one who sends limits how much is on its way.
    """

    def __init__(self, on_heard: Callable[[Heard | None], None]) -> None:
        self.id = secrets.token_hex(8)
        self.tell = on_heard
        self._sound: SimpleQueue[ListenRequest | bytes | _Flush | _End] = SimpleQueue()

    def begin(self, request: ListenRequest) -> None:
        """To be called first, once: what the sound will be."""
        self._sound.put(request)

    def send(self, sound: bytes) -> None:
        self._sound.put(sound)

    def flush(self) -> None:
        self._sound.put(_Flush())

    def end(self, *, keep: bool = True) -> None:
        """`keep` False: the job is cancelled."""
        self._sound.put(_End(keep))

    def next(self, cancel: Event) -> ListenRequest | bytes | _Flush | _End:
        """Raises Cancelled."""
        while not cancel.is_set():
            try:
                return self._sound.get(timeout=POLL_SECONDS)
            except Empty:
                continue
        raise Cancelled


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """Of live sessions: how many at once; how long one may last, and how long be silent, in seconds."""

    sessions: int
    seconds: float
    idle_seconds: float


class Feeds:
    """The feeds of this process. Thread-safe."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}
        self._lock = threading.Lock()

    def open(self, on_heard: Callable[[Heard | None], None]) -> Feed:
        feed = Feed(on_heard)
        with self._lock:
            self._feeds[feed.id] = feed
        return feed

    def take(self, feed_id: str) -> Feed | None:
        """The feed, for the one run that listens to it."""
        with self._lock:
            return self._feeds.pop(feed_id, None)


class LiveRequest(TranscriptionRequest):
    """Transcribe what somebody says while it is said. Made by the sockets, which the sound comes over."""

    feed: Annotated[str, Field(description="Which connection the sound comes over")] = ""


class LiveWork(Request):
    """What is run."""

    feed: str
    corrections: Corrections = ()


class LiveKind(Kind[LiveRequest, LiveWork, tuple[Transcript, SoundFile | None], TranscriptionResult]):
    """Live speech to text. `keep_sound`: a job has the sound among its files; `corrections`: an account's own list."""

    name: ClassVar[str] = "live"
    device = DEVICE
    request_type = LiveRequest
    work_type = LiveWork
    result_type = TranscriptionResult
    card_type = TranscriptCard

    def __init__(
        self,
        engine: SpeechEngine,
        feeds: Feeds,
        *,
        keep_sound: bool = False,
        corrections: Callable[[str], tuple[Correction, ...]] = lambda _: (),
    ) -> None:
        self._engine = engine
        self._corrections = corrections
        self._feeds = feeds
        self._keep_sound = keep_sound

    def prepare(
        self,
        request: LiveRequest,
        inputs: Mapping[str, Received],  # noqa: ARG002 - what every kind gets
    ) -> tuple[LiveWork, tuple[Unused, ...]]:
        if not request.feed:
            raise InvalidRequest("kind", "A live session is opened at /v1/vosk or /v1/realtime, not as a job.")
        self._engine.check(TranscribeRequest(language=request.language or None))
        return LiveWork(feed=request.feed, corrections=request.corrections), ()

    def for_account(self, work: LiveWork, account: str) -> LiveWork:
        own = self._corrections(account)
        return work.model_copy(update={"corrections": (*work.corrections, *own)}) if own else work

    def listing(
        self,
        request: LiveRequest,
        work: LiveWork,  # noqa: ARG002 - what every kind gets
        result: TranscriptionResult,
        edit: Edit,
    ) -> Listing:
        return listed_transcript(result, request.filename, edit)

    def run(
        self,
        work: LiveWork,
        inputs: Mapping[str, Path],  # noqa: ARG002 - what every kind gets
        context: Context,
    ) -> tuple[Transcript, SoundFile | None]:
        feed = self._feeds.take(work.feed)
        if feed is None:
            raise SpeakerGone
        try:
            return self._listen(feed, work.corrections, context)
        finally:
            feed.tell(None)

    def _listen(self, feed: Feed, corrections: Corrections, context: Context) -> tuple[Transcript, SoundFile | None]:
        segments: list[Segment] = []
        corrected: list[Corrected] = []
        request = feed.next(context.cancel)
        if not isinstance(request, ListenRequest):  # it ended before it began
            raise Cancelled
        sound_file = SoundFile(request.sample_rate) if self._keep_sound else None
        with closing(self._engine.listen(request, context.cancel)) as session:

            def tell(heard: Heard) -> None:
                # What is open may still change: only what has settled is corrected.
                settled = [correct_segment(segment, corrections) for segment in heard.segments]
                for segment, made in settled:
                    segments.append(segment)
                    corrected.extend(made)
                    context.report(SegmentHeard(segment))
                feed.tell(replace(heard, segments=tuple(segment for segment, _ in settled)))

            while not isinstance(item := feed.next(context.cancel), _End):
                if isinstance(item, bytes):
                    tell(session.accept(item))
                    if sound_file is not None:
                        sound_file.write(item)
                else:
                    tell(session.flush())
            if not item.keep:
                raise Cancelled
            last = session.flush()
            tell(last)
        transcript = live_transcript(self._engine.info, segments, last.seconds)
        return transcript.model_copy(update={"corrections": tuple(corrected)}), sound_file

    def store(
        self,
        work: LiveWork,  # noqa: ARG002 - what every kind gets
        made: tuple[Transcript, SoundFile | None],
        context: Context,
    ) -> TranscriptionResult:
        transcript, sound_file = made
        result = transcript_files(transcript, FILENAME, context)
        if sound_file is not None:
            context.keep("sound.flac", "audio/flac", sound_file.finish())
        return result


def live_transcript(info: SpeechModelInfo, segments: Sequence[Segment], seconds: float) -> Transcript:
    """All that was heard in a session of `seconds`."""
    return Transcript(
        text=" ".join(segment.text for segment in segments),
        segments=tuple(segments),
        duration=seconds,
        language=info.language,
        engine=info.name,
        # A speaker is always heard on this machine, whoever does the files.
        where="local",
        demo=info.demo,
        note=f"{info.label}. Use a full Vosk model for real speech." if info.demo else "",
    )
