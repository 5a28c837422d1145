"""Jobs by id and the files of their results: what a client reads again after a lost connection."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from app.concurrency import run_blocking
from app.http.deps import OwnerDep, StudioDep
from app.jobs.model import Job
from app.work.pictures import PictureFormat, convert

router = APIRouter(tags=["jobs"])

KEEP_A_YEAR = "private, max-age=31536000, immutable"


@router.get("/jobs/{job_id}")
async def read_job(job_id: str, studio: StudioDep, owner: OwnerDep) -> dict[str, Any]:
    """State, progress and, once there, the result. 404 for an unknown id or somebody else's job."""
    return (await run_blocking(studio.jobs.get, job_id, owner)).public()


@router.delete("/jobs/{job_id}", status_code=202)
async def cancel_job(job_id: str, studio: StudioDep, owner: OwnerDep) -> dict[str, Any]:
    """Cancel: at once while queued, within one step while running; a finished job stays as it is."""
    return (await run_blocking(studio.jobs.cancel, job_id, owner)).public()


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
async def job_events(
    job_id: str, studio: StudioDep, owner: OwnerDep, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Server-sent events named `job`, each a whole snapshot, so that nothing is lost between two connections.

    With `Last-Event-ID` of the final snapshot the answer is 204, which tells an EventSource to stop reconnecting.
    """
    job = await run_blocking(studio.jobs.get, job_id, owner)
    if job.final and last_event_id == _event_id(job):
        return Response(status_code=204)

    async def stream() -> AsyncIterator[str]:
        async for snapshot in studio.jobs.watch(job_id, owner):
            yield f"id: {_event_id(snapshot)}\nevent: job\ndata: {json.dumps(snapshot.public())}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _event_id(job: Job) -> str:
    return f"{job.state.value}-{job.progress.stage}-{job.progress.step}"


@router.get("/files/{file_id}", response_class=Response)
async def read_file(
    file_id: str,
    studio: StudioDep,
    owner: OwnerDep,
    picture_format: Annotated[PictureFormat | None, Query(alias="format")] = None,
    width: Annotated[int | None, Query(alias="w", ge=16, le=4096)] = None,
    if_none_match: Annotated[str | None, Header()] = None,
    disposition: Annotated[Literal["inline", "attachment"], Query()] = "inline",
) -> Response:
    """A result's bytes; pictures also in another `format` and scaled down to width `w` in pixels."""
    file, data = await run_blocking(studio.jobs.file, file_id, owner)
    etag = f'"{file.sha256[:32]}-{picture_format or ""}-{width or ""}"'
    headers = {
        "ETag": etag,
        "Cache-Control": KEEP_A_YEAR,
        "Content-Disposition": f'{disposition}; filename="{file.name}"',
    }
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    media_type = file.media_type
    if picture_format or width:
        data, media_type = await run_blocking(convert, file, data, picture_format, width)
    return Response(data, media_type=media_type, headers=headers)
