"""A transcript to read along and to correct: paragraphs of timed words, a person's corrections, captions of either."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.concurrency import run_blocking
from app.http.deps import AskedDep, JobDep, StudioDep
from app.http.disposition import disposition
from app.http.errors import ERRORS
from app.jobs.model import Edit, Job
from app.work.corrections import corrected, latest, paragraphs_of
from app.work.request import unknown_fields
from app.work.speech import CAPTION_TYPES, CaptionFormat, TranscriptionRequest, TranscriptionResult, named, rendered
from engines.errors import StudioError
from engines.requests import WHOLE
from engines.results import Corrected, Segment, Unused

router = APIRouter(prefix="/jobs/{job_id}", tags=["jobs"], responses=ERRORS)

MAX_TEXT_CHARS = 500_000
"""About nine hours of speech."""

TimedWord = tuple[str, float, float, float]
"""A word, its start and end in seconds, and its confidence from 0 to 1. As an object it would take twice the space,
which of three hours is a megabyte."""


class NoTranscript(StudioError):
    """The job is of another kind, or has not come to a transcript."""

    code = "no_transcript"
    status = 404
    field = "job_id"

    def __init__(self, job: Job) -> None:
        why = f"its state is {job.state.value}" if job.kind == "transcription" else f"it is of kind {job.kind}"
        super().__init__(f"Job {job.id} has no transcript: {why}.")


class Paragraph(BaseModel):
    """What is said between two long pauses. Times in seconds."""

    start: float
    end: float
    speaker: str | None = Field(description="Their letter, where `speakers` were asked for and are known")
    words: tuple[TimedWord, ...] = Field(description="Word, start, end, confidence (0 to 1; 1 where a person wrote it)")


class TranscriptView(BaseModel):
    """A transcript as it was corrected last, or as it was heard."""

    job_id: str
    filename: str
    language: str
    engine: str
    where: str
    demo: bool
    note: str
    duration: float = Field(description="Of the sound, in seconds")
    no_speech: bool
    edited: bool = Field(description="These are the words of a person's corrections")
    revision: int = Field(description="Grows with each correction; 0 before the first")
    audio_file_id: str | None = Field(description="The recording, for /files/{id}, where the job's keep_audio was true")
    paragraphs: tuple[Paragraph, ...]
    corrections: tuple[Corrected, ...] = Field(description="What stands otherwise in it than the model heard it")
    warnings: tuple[Unused, ...] = ()


class Correction(BaseModel):
    """A whole transcript as it should be."""

    model_config = ConfigDict(strict=True, extra="ignore")

    text: Annotated[
        str,
        Field(max_length=MAX_TEXT_CHARS, description="The whole corrected text, with a line for each paragraph"),
    ]
    revision: Annotated[
        int | None, Field(ge=0, description="The one that was corrected: 412 if another has come since"), WHOLE
    ] = None


def _transcription(job: JobDep) -> Job:
    if not isinstance(job.result, TranscriptionResult):
        raise NoTranscript(job)
    return job


TranscriptionDep = Annotated[Job, Depends(_transcription)]
OriginalDep = Annotated[bool, Query(description="As it was heard, without anybody's corrections")]


@router.get("/transcript", response_model=TranscriptView)
async def read_transcript(job: TranscriptionDep, service: StudioDep, original: OriginalDep = False) -> Response:
    """The words with their times, by paragraphs: to show them while the recording plays, and to correct them."""
    return await _answer(job, await service.queue.library.edit(job), original=original)


@router.put("/transcript", response_model=TranscriptView)
async def correct_transcript(body: Correction, job: TranscriptionDep, service: StudioDep, asked: AskedDep) -> Response:
    """Keep a corrected text beside what was heard. Words that are left keep their times; those that are new share the
    time of what they replace. `GET /jobs/{job_id}` goes on to show what was heard."""
    content = await run_blocking(corrected, _result(job), body.text)
    edit = await run_blocking(service.queue.library.save_edit, job, content, body.revision)
    return await _answer(job, edit, warnings=unknown_fields(asked.sent, set(Correction.model_fields)))


@router.delete("/transcript", response_model=TranscriptView)
async def take_corrections_back(job: TranscriptionDep, service: StudioDep) -> Response:
    """Forget the corrections. The answer is the transcript as it was heard."""
    return await _answer(job, await run_blocking(service.queue.library.save_edit, job, None, None))


@router.get("/captions/{form}", response_class=Response)
async def read_captions(
    form: CaptionFormat, job: TranscriptionDep, service: StudioDep, original: OriginalDep = False
) -> Response:
    """Captions and texts of the transcript as it was corrected last, under the recording's name."""
    edit = await service.queue.library.edit(job)

    def render() -> str:
        return rendered(latest(_result(job), Edit(edit.revision, None) if original else edit), form)

    headers = {"Content-Disposition": disposition("attachment", named(_filename(job), form))}
    return Response(await run_blocking(render), media_type=f"{CAPTION_TYPES[form]}; charset=utf-8", headers=headers)


async def _answer(job: Job, edit: Edit, *, original: bool = False, warnings: tuple[Unused, ...] = ()) -> Response:
    shown = Edit(edit.revision, None) if original else edit

    def encode() -> str:
        # On a thread and encoded once: FastAPI would do both with the words of hours on the event loop.
        return _view(job, shown, warnings).model_dump_json()

    return Response(await run_blocking(encode), media_type="application/json")


def _view(job: Job, edit: Edit, warnings: tuple[Unused, ...]) -> TranscriptView:
    transcript = latest(_result(job), edit)
    kept = [file.id for file in job.files if file.id == f"{job.id}-kept_audio"]
    return TranscriptView(
        job_id=job.id,
        filename=_filename(job),
        language=transcript.language,
        engine=transcript.engine,
        where=transcript.where,
        demo=transcript.demo,
        note=transcript.note,
        duration=transcript.duration,
        no_speech=transcript.no_speech,
        edited=edit.content is not None,
        revision=edit.revision,
        audio_file_id=kept[0] if kept else None,
        paragraphs=tuple(map(_paragraph, paragraphs_of(transcript, edit))),
        corrections=transcript.corrections,
        warnings=warnings,
    )


def _paragraph(segment: Segment) -> Paragraph:
    words = tuple(
        (word.word, round(word.start, 3), round(word.end, 3), round(word.confidence, 3)) for word in segment.words
    )
    start, end = round(segment.start, 3), round(segment.end, 3)
    return Paragraph(start=start, end=end, speaker=segment.speaker, words=words)


def _result(job: Job) -> TranscriptionResult:
    assert isinstance(job.result, TranscriptionResult)
    return job.result


def _filename(job: Job) -> str:
    """The recording's, as it was sent or found at its address."""
    assert isinstance(job.request, TranscriptionRequest)
    return job.request.filename or str(getattr(job.work, "filename", ""))
