"""OpenAI's audio transcription in its response formats, and as whisper's TSV; for the studio and the speech service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from app.concurrency import run_blocking
from app.http.deps import AskedDep, ServiceDep, accepted, finish, submit
from app.http.disposition import disposition
from app.http.errors import ERRORS
from app.http.stream import Event, EventStream, described, sse
from app.http.transcription_form import OPENAPI_BODY, TranscriptionForm, open_transcription_form
from app.jobs.live import JobEvent
from app.jobs.model import Job
from app.jobs.queue import Submission
from app.studio import Service, Studio
from app.work.speech import TranscriptionRequest, TranscriptionResult
from engines.events import SegmentHeard
from engines.requests import parse
from engines.results import Segment, Unused, Word
from engines.speech.paragraphs import ParagraphRule

router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=ERRORS)

CAPTIONS = ("srt", "vtt", "tsv")


class Usage(BaseModel):
    """What the transcription is counted as."""

    type: str = "duration"
    seconds: int


class Told(BaseModel):
    """What OpenAI's shapes have no place for and its clients pass over."""

    no_speech: bool
    engine: str
    where: str
    demo: bool
    note: str
    job_id: str
    warnings: tuple[Unused, ...]


class TranscriptionAnswer(Told):
    """OpenAI's `json`, then ours."""

    text: str
    usage: Usage


class TokenUsage(BaseModel):
    """What a stream's end has in place of `Usage`. Nothing is counted in tokens here, so it is all zero."""

    type: Literal["tokens"] = "tokens"
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


class TextDelta(Event):
    """What has been heard since the one before, a segment at a time; all of them together are the text, line breaks
    between paragraphs included. With `speakers` the text has further line breaks, because who spoke is known last."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str


class SpokenSegment(Event):
    """With `speakers`, after all deltas: a segment of the text, and who spoke it. Times in seconds."""

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str
    start: float
    end: float
    text: str
    speaker: str = Field(description="A for who speaks first, B for the next")


class TextDone(Told, Event):
    """The end of a stream: the whole text."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    language: str
    duration: float = Field(description="Of the sound, in seconds")
    usage: TokenUsage = TokenUsage()


class VerboseSegment(BaseModel):
    """OpenAI's segment. Its tokens and odds belong to another kind of model, but typed clients expect the fields."""

    id: int
    seek: int = 0
    start: float
    end: float
    text: str
    speaker: str | None = None
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float = Field(description="Mean logarithm of the words' confidences")
    compression_ratio: float = 1.0
    no_speech_prob: float = 0.0


class VerboseAnswer(TranscriptionAnswer):
    """OpenAI's `verbose_json`: `segments`, `words` or both, as asked for. Times in seconds."""

    task: str = "transcribe"
    language: str
    duration: float
    segments: tuple[VerboseSegment, ...] | None = None
    words: tuple[Word, ...] | None = None


@router.post(
    "/audio/transcriptions",
    response_model=VerboseAnswer | TranscriptionAnswer,
    response_model_exclude_none=True,
    responses=described(TextDelta, SpokenSegment, TextDone),
    openapi_extra=OPENAPI_BODY,
)
async def transcribe(request: Request, service: ServiceDep, asked: AskedDep) -> Any:
    """OpenAI's transcription. No speech is empty text; with verbose_json each word has times and a confidence.

    With `stream` the answer is events: each segment as it is heard, then the whole text.
    """
    limit, folder = service.max_upload_bytes, service.files.uploads
    model = service.speech.info.name
    async with open_transcription_form(request, max_bytes=limit, tmp_dir=folder, model=model) as form:
        values = {
            "filename": form.filename,
            "language": form.language,
            "vocabulary": form.vocabulary,
            "speakers": form.speakers,
        }
        wanted = parse(TranscriptionRequest, values)
        file = await run_blocking(service.files.adopt, form.path, form.sha256, form.filename)
        unused = tuple(Unused(name, f"{name} has no effect here.") for name in form.unused)
        submission = Submission(
            "transcription",
            wanted,
            asked.account,
            {"audio": file},
            user=form.user,
            idempotency_key=asked.idempotency_key,
            warnings=unused,
        )
        job = await submit(service, submission)
    # The speech service keeps no jobs that could be asked for.
    if asked.respond_async and isinstance(service, Studio):
        return accepted(asked, job)
    if form.stream:
        return EventStream(asked, service, job, TranscriptEvents())
    job = await finish(asked, service, job)
    return await _answer(service, job, form)


async def _answer(service: Service, job: Job, form: TranscriptionForm) -> Any:
    result = job.result
    assert isinstance(result, TranscriptionResult)
    if form.response_format == "text":
        return PlainTextResponse(result.text)
    if form.response_format in CAPTIONS:
        name = getattr(result.captions, form.response_format)
        (file,) = (file for file in job.files if file.id == name)
        headers = {"Content-Disposition": disposition("inline", file.name)}
        media_type = f"{file.media_type}; charset=utf-8"
        return Response(await service.queue.library.content(file), media_type=media_type, headers=headers)
    common = TranscriptionAnswer(
        text=result.text, usage=Usage(seconds=math.ceil(result.duration)), **dict(_told(job, result))
    )
    if form.response_format == "json":
        return common
    wanted = form.granularities or {"segment"}
    return VerboseAnswer(
        **dict(common),
        language=result.language,
        duration=round(result.duration, 3),
        segments=tuple(map(_segment, range(len(result.segments)), result.segments)) if "segment" in wanted else None,
        words=tuple(map(_word, result.words)) if "word" in wanted else None,
    )


def _told(job: Job, result: TranscriptionResult) -> Told:
    return Told(
        no_speech=result.no_speech,
        engine=result.engine,
        where=result.where,
        demo=result.demo,
        note=result.note,
        job_id=job.id,
        warnings=job.warnings,
    )


class TranscriptEvents:
    """What one stream tells: segments as they are heard, then the text."""

    def __init__(self) -> None:
        self._heard = ""
        self._rule = ParagraphRule()

    async def __call__(self, event: JobEvent) -> list[bytes]:
        if isinstance(event.told, SegmentHeard):
            segment = event.told.segment
            return self._delta(self._rule.separator(segment) + segment.text)
        result = event.job.result
        if not isinstance(result, TranscriptionResult):
            return []
        # What was done before this request, or elsewhere, comes without its segments.
        rest = result.text.removeprefix(self._heard) if result.text.startswith(self._heard) else ""
        done = TextDone(
            text=result.text,
            language=result.language,
            duration=round(result.duration, 3),
            **dict(_told(event.job, result)),
        )
        return [*self._delta(rest), *await run_blocking(_told_last, result.segments, done)]

    def _delta(self, text: str) -> list[bytes]:
        if not text:
            return []
        self._heard += text
        return [sse(TextDelta(delta=text))]


def _told_last(segments: Sequence[Segment], done: TextDone) -> list[bytes]:
    spoken = [
        SpokenSegment(
            id=f"seg_{number}",
            start=round(segment.start, 3),
            end=round(segment.end, 3),
            text=segment.text,
            speaker=segment.speaker,
        )
        for number, segment in enumerate(segments)
        if segment.speaker is not None
    ]
    return [sse(event) for event in (*spoken, done)]


def _segment(number: int, segment: Segment) -> VerboseSegment:
    odds = [math.log(max(word.confidence, 1e-3)) for word in segment.words]
    return VerboseSegment(
        id=number,
        start=round(segment.start, 3),
        end=round(segment.end, 3),
        text=segment.text,
        speaker=segment.speaker,
        avg_logprob=round(sum(odds) / len(odds), 4) if odds else 0.0,
    )


def _word(word: Word) -> Word:
    times = {"start": round(word.start, 3), "end": round(word.end, 3), "confidence": round(word.confidence, 4)}
    return word.model_copy(update=times)
