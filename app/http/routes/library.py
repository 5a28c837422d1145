"""What was made: listed and searched, marked, and packed together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from app.concurrency import run_blocking
from app.http.deps import AccountDep, JobDep, ServiceDep, StudioDep, base_url_of
from app.http.disposition import disposition
from app.http.errors import ERRORS, ERRORS_OF_STREAM
from app.http.views import urls_of
from app.http.zip_stream import Entry, zip_stream
from app.jobs.errors import NothingMade
from app.jobs.model import Job
from app.jobs.store.library import Made, Search
from app.studio import Studio
from app.work.cards import PicturesCard, TranscriptCard
from app.work.corrections import latest
from app.work.speech import CAPTION_FORMATS, TranscriptionResult, rendered
from engines.errors import InvalidRequest

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=ERRORS)

MAX_QUERY_CHARS = 200
MOST_LISTED = 100
MOST_PACKED = 100
MOST_PACKED_BYTES = 2 * 2**30
"""What a browser still keeps on its disk for a download, and takes minutes on a common line."""

PictureKindName = Literal["avatar", "hero", "image"]
SpeechKindName = Literal["transcription", "live"]

ZIP: dict[str, Any] = {
    "description": "The archive",
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}


class ListedJob(BaseModel):
    """One that has a result. `created_at`: seconds since the epoch."""

    job_id: str
    created_at: float
    preset: str = Field(description="Its id; empty without one")
    model: str
    favourite: bool
    status_url: str = Field(description="GET: the whole job")


class ListedPictures(ListedJob, PicturesCard):
    """A job's pictures."""

    kind: PictureKindName


class ListedTranscript(ListedJob, TranscriptCard):
    """A transcript."""

    kind: SpeechKindName


AnyListed = Annotated[ListedPictures | ListedTranscript, Field(discriminator="kind")]


class JobList(BaseModel):
    """One page, newest first."""

    jobs: tuple[AnyListed, ...]
    has_more: bool = Field(description="Ask again with the last job's id as before")
    presets: tuple[str, ...] = Field(description="Of all that the account has made: what preset can be; on page one")
    models: tuple[str, ...] = Field(description="The same for model")


class Favourite(BaseModel):
    """Whether a job is marked."""

    job_id: str
    favourite: bool


class Pack(BaseModel):
    """Which jobs' files are wanted."""

    model_config = ConfigDict(strict=True, extra="ignore")

    ids: Annotated[list[str], Field(min_length=1, max_length=MOST_PACKED, description="Ids of jobs with a result")]


@router.get("", response_model=JobList)
async def list_jobs(
    service: ServiceDep,
    account: AccountDep,
    request: Request,
    q: Annotated[
        str,
        Query(
            max_length=MAX_QUERY_CHARS,
            description="Words that are in the prompt, title, summary, preset's name, transcript or file name; all of "
            "them, the last one perhaps unfinished",
        ),
    ] = "",
    kind: Annotated[list[PictureKindName | SpeechKindName] | None, Query(description="One or several")] = None,
    preset: Annotated[str | None, Query(max_length=64, description="A preset's id; empty: without one")] = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    favourite: Annotated[bool, Query(description="Only those that are marked")] = False,
    before: Annotated[str | None, Query(max_length=64, description="Id of the last job of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
) -> JobList:
    """What the account has made, newest first, with enough of each to show it in a list."""
    search = Search(q, tuple(kind or ()), preset, model, favourite, before, limit)
    found = await service.queue.library.search(account, search)
    choices = await service.queue.library.choices(account) if before is None else None
    base_url = base_url_of(request)
    return JobList(
        jobs=tuple(_listed(made, base_url) for made in found.made),
        has_more=found.more,
        presets=() if choices is None else choices.presets,
        models=() if choices is None else choices.models,
    )


@router.put("/{job_id}/favourite", response_model=Favourite)
async def mark_job(job: JobDep, service: ServiceDep) -> Favourite:
    """Mark a job as a favourite. 409 for one without a result."""
    await run_blocking(service.queue.library.mark, job, favourite=True)
    return Favourite(job_id=job.id, favourite=True)


@router.delete("/{job_id}/favourite", response_model=Favourite)
async def unmark_job(job: JobDep, service: ServiceDep) -> Favourite:
    """Take the mark off again."""
    await run_blocking(service.queue.library.mark, job, favourite=False)
    return Favourite(job_id=job.id, favourite=False)


@router.post("/zip", response_class=StreamingResponse, responses={**ERRORS_OF_STREAM, 200: ZIP})
async def pack_jobs(body: Pack, service: StudioDep, account: AccountDep) -> StreamingResponse:
    """The files of several jobs in one archive, a folder for each job; transcripts as they were corrected last.

    404 if one of the jobs is not there, 409 if one has no result."""
    entries: list[Entry] = []
    for job_id in dict.fromkeys(body.ids):
        entries += await _entries(service, await service.queue.get(job_id, account))
    size = sum(entry.size for entry in entries)
    if size > MOST_PACKED_BYTES:
        raise InvalidRequest(
            "ids",
            f"ids name {size / 1e9:.1f} GB of files, and an archive has {MOST_PACKED_BYTES / 1e9:.1f} GB at most: "
            "choose fewer.",
        )
    name = f"carrot-studio-{datetime.now(UTC):%Y-%m-%d}.zip"
    headers = {"Content-Disposition": disposition("attachment", name), "Cache-Control": "no-store"}
    return StreamingResponse(zip_stream(entries), media_type="application/zip", headers=headers)


async def _entries(service: Studio, job: Job) -> list[Entry]:
    """A job's files, under a folder of its own."""
    if job.result is None:
        raise NothingMade(job.id, job.state.value)
    made = datetime.fromtimestamp(job.created_at, UTC)
    folder = f"{made:%Y-%m-%d %H.%M} {job.kind} {job.id[:6]}"
    corrected: dict[str, bytes] = {}
    if isinstance(job.result, TranscriptionResult):
        corrected = await _corrected(service, job, job.result)
    return [
        Entry(f"{folder}/{file.name}", made, service.files.path(file.sha256), file.size)
        if file.id not in corrected
        else Entry(f"{folder}/{file.name}", made, corrected[file.id], len(corrected[file.id]))
        for file in job.files
    ]


async def _corrected(service: Studio, job: Job, result: TranscriptionResult) -> dict[str, bytes]:
    """By the id of each caption file what stands in it since the transcript was corrected."""
    edit = await service.queue.library.edit(job)
    if edit.content is None:
        return {}
    ids = result.captions.model_dump()

    def render() -> dict[str, bytes]:
        transcript = latest(result, edit)
        return {ids[form]: rendered(transcript, form).encode() for form in CAPTION_FORMATS if ids[form] is not None}

    return await run_blocking(render)


def _listed(made: Made, base_url: str) -> ListedPictures | ListedTranscript:
    model = ListedPictures if isinstance(made.card, PicturesCard) else ListedTranscript
    return model.model_validate(
        {
            **made.card.model_dump(),
            "job_id": made.job_id,
            "kind": made.kind,
            "created_at": made.created_at,
            "preset": made.preset,
            "model": made.model,
            "favourite": made.favourite,
            "status_url": urls_of(made.job_id, base_url)["status_url"],
        }
    )
