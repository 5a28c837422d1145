"""The kind `transcription`: a sound or video file to text, words with times, and captions."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field

from app.jobs.model import Context, Edit, Kind, Listing, Received
from app.work.cards import TranscriptCard, listed_transcript
from app.work.request import Address, JobRequest
from engines.errors import InvalidRequest
from engines.events import Event, SegmentHeard
from engines.protocols import SpeechEngine
from engines.requests import Correction, Corrections, Language, Speakers, TranscribeRequest, Vocabulary
from engines.results import Result, Transcript, Unused
from engines.speech.captions import to_srt, to_tsv, to_vtt
from engines.speech.corrections import correct, correct_segment
from engines.speech.paragraphs import paragraphs, text_of

DEVICE = "speech"

CaptionFormat = Literal["srt", "vtt", "txt", "tsv", "json"]
CAPTION_FORMATS: tuple[CaptionFormat, ...] = get_args(CaptionFormat)
CAPTION_TYPES: dict[CaptionFormat, str] = {
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "txt": "text/plain",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
}

MAX_NAME_CHARS = 60
"""Of a name before its ending: file systems take 255 bytes, and a character has up to four."""


class TranscriptionRequest(JobRequest):
    """Transcribe the file that comes with it, or that is at an address."""

    filename: Annotated[str, Field(description="The file's name, for messages")] = ""
    language: Language = ""
    audio: Address | None = None
    audio_sha256: str | None = None
    keep_audio: Annotated[
        bool, Field(description="Keep the file among the job's, to listen while reading; else it is deleted at the end")
    ] = False
    corrections: Corrections = ()
    """For this file, before those of the account's list."""
    vocabulary: Vocabulary = ()
    speakers: Speakers = False


class Captions(Result):
    """Ids of the files with a transcript's captions; null in jobs of versions that did not make one."""

    model_config = ConfigDict(serialize_by_alias=True)

    srt: str
    vtt: str
    txt: str
    tsv: str | None = None
    # A model has a method of that name.
    json_: str | None = Field(default=None, alias="json")


class TranscriptionResult(Transcript):
    """A transcript, and where its captions are. `text` has a line for each paragraph."""

    captions: Captions


class TranscriptionKind(Kind[TranscriptionRequest, TranscribeRequest, Transcript, TranscriptionResult]):
    """Speech to text."""

    name: ClassVar[str] = "transcription"
    input = "audio"
    device = DEVICE
    request_type = TranscriptionRequest
    work_type = TranscribeRequest
    result_type = TranscriptionResult
    card_type = TranscriptCard

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
            filename=request.filename,
            language=request.language or None,
            corrections=request.corrections,
            vocabulary=request.vocabulary,
            speakers=request.speakers,
        )
        return work, self._engine.check(work)

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

    def listing(
        self, request: TranscriptionRequest, work: TranscribeRequest, result: TranscriptionResult, edit: Edit
    ) -> Listing:
        return listed_transcript(result, request.filename or work.filename, edit)

    def kept(self, request: TranscriptionRequest, work: TranscribeRequest) -> Mapping[str, tuple[str, str]]:
        if not request.keep_audio:
            return {}
        guessed = mimetypes.guess_type(work.filename)[0] or ""
        # Never a type that a browser would run, whatever the file is called.
        media_type = guessed if guessed.startswith(("audio/", "video/")) else "application/octet-stream"
        return {"audio": (named(work.filename, Path(work.filename).suffix[1:]), media_type)}

    def store(self, work: TranscribeRequest, made: Transcript, context: Context) -> TranscriptionResult:
        return transcript_files(made, work.filename, context)


def transcript_files(made: Transcript, filename: str, context: Context) -> TranscriptionResult:
    """Keep a transcript's files, named after the recording, and say where they are."""
    made = with_paragraphs(made)
    ids = {
        name: context.keep(named(filename, name), CAPTION_TYPES[name], rendered(made, name).encode()).id
        for name in CAPTION_FORMATS
    }
    values = {name: getattr(made, name) for name in Transcript.model_fields}
    return TranscriptionResult(**values, captions=Captions.model_validate(ids))


def with_paragraphs(transcript: Transcript) -> Transcript:
    """The same with paragraphs in its text, where the text is that of the segments."""
    text = text_of(transcript.segments)
    same = text.split() == transcript.text.split()
    return transcript.model_copy(update={"text": text}) if same else transcript


def rendered(transcript: Transcript, form: CaptionFormat) -> str:
    """The transcript as a file of this kind."""
    return _RENDERERS[form](transcript)


def _to_json(transcript: Transcript) -> str:
    told = transcript.model_dump(mode="json", include=set(Transcript.model_fields) | {"no_speech"})
    return json.dumps(told, ensure_ascii=False, indent=1)


def _to_txt(transcript: Transcript) -> str:
    parts = transcript.segments
    if not any(part.speaker for part in parts):
        return transcript.text
    # Of one that a person edited each segment is a paragraph already.
    if "\n".join(part.text for part in parts) != transcript.text:
        parts = paragraphs(parts)
    return "\n".join(f"{part.speaker or '?'}: {part.text}" for part in parts)


_RENDERERS: dict[CaptionFormat, Callable[[Transcript], str]] = {
    "srt": to_srt,
    "vtt": to_vtt,
    "txt": _to_txt,
    "tsv": to_tsv,
    "json": _to_json,
}


def named(filename: str, ending: str) -> str:
    """A name for a file made of the one that was called `filename`: fit for any file system, and not hidden."""
    stem = Path(filename.replace("\\", "/")).stem
    plain = "".join(char if char.isprintable() and char not in '/\\:*?"<>|' else "_" for char in stem)
    plain = plain.strip(" .")[:MAX_NAME_CHARS] or "transcript"
    ending = "".join(char for char in ending if char.isascii() and char.isalnum())[:8]
    return f"{plain}.{ending}" if ending else plain
