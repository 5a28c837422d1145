"""The kind `transcription`: a sound or video file to text, words with times, and captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from app.jobs.model import Context, Kind, Received
from app.work.request import Address, JobRequest
from engines.errors import InvalidRequest
from engines.events import Event, SegmentHeard
from engines.protocols import SpeechEngine
from engines.requests import Correction, Corrections, Language, TranscribeRequest
from engines.results import Result, Transcript, Unused
from engines.speech.captions import to_srt, to_vtt
from engines.speech.corrections import correct, correct_segment

DEVICE = "speech"


class TranscriptionRequest(JobRequest):
    """Transcribe the file that comes with it, or that is at an address."""

    filename: Annotated[str, Field(description="The file's name, for messages")] = ""
    language: Language = ""
    audio: Address | None = None
    audio_sha256: str | None = None
    corrections: Corrections = ()
    """For this file, before those of the account's list."""


class Captions(Result):
    """Ids of the files with a transcript's captions."""

    srt: str
    vtt: str
    txt: str


class TranscriptionResult(Transcript):
    """A transcript, and where its captions are."""

    captions: Captions


class TranscriptionKind(Kind[TranscriptionRequest, TranscribeRequest, Transcript, TranscriptionResult]):
    """Speech to text."""

    name: ClassVar[str] = "transcription"
    input = "audio"
    device = DEVICE
    request_type = TranscriptionRequest
    work_type = TranscribeRequest
    result_type = TranscriptionResult

    def __init__(
        self, engine: SpeechEngine, corrections: Callable[[str], tuple[Correction, ...]] = lambda _: ()
    ) -> None:
        """`corrections`: an account's own list."""
        self._engine = engine
        self._corrections = corrections

    def prepare(
        self, request: TranscriptionRequest, inputs: Mapping[str, Received]
    ) -> tuple[TranscribeRequest, tuple[Unused, ...]]:
        if "audio" not in inputs and request.audio is None:
            raise InvalidRequest("audio", "audio is missing: send a sound or video file, or its address.")
        work = TranscribeRequest(
            filename=request.filename, language=request.language or None, corrections=request.corrections
        )
        self._engine.check(work)
        return work, ()

    def for_account(self, work: TranscribeRequest, account: str) -> TranscribeRequest:
        own = self._corrections(account)
        return work.model_copy(update={"corrections": (*work.corrections, *own)}) if own else work

    def complete(self, work: TranscribeRequest, inputs: Mapping[str, Received]) -> TranscribeRequest:
        return work if work.filename else work.model_copy(update={"filename": inputs["audio"].filename})

    def run(self, work: TranscribeRequest, inputs: Mapping[str, Path], context: Context) -> Transcript:
        def told(event: Event) -> None:
            if isinstance(event, SegmentHeard):
                event = SegmentHeard(correct_segment(event.segment, work.corrections)[0])
            context.report(event)

        return correct(self._engine.transcribe(work, inputs["audio"], told, context.cancel), work.corrections)

    def store(
        self,
        work: TranscribeRequest,  # noqa: ARG002 - what every kind gets
        made: Transcript,
        context: Context,
    ) -> TranscriptionResult:
        srt = context.keep("captions.srt", "application/x-subrip", to_srt(made).encode())
        vtt = context.keep("captions.vtt", "text/vtt", to_vtt(made).encode())
        txt = context.keep("transcript.txt", "text/plain", made.text.encode())
        values = {name: getattr(made, name) for name in Transcript.model_fields}
        return TranscriptionResult(**values, captions=Captions(srt=srt.id, vtt=vtt.id, txt=txt.id))
