"""A job as programs see it: typed by its kind, with the addresses where more can be asked."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from app.http.errors import ErrorDetails
from app.jobs.model import Job, JobProgress, JobState
from app.work.image import PicturesResult, PlainRequest
from app.work.live import LiveRequest
from app.work.presets import AvatarRequest, HeroRequest
from app.work.speech import TranscriptionRequest, TranscriptionResult
from engines.results import Unused

K = TypeVar("K", bound=str)
Q = TypeVar("Q", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)


class FileView(BaseModel):
    """One file of a result; `size` in bytes."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str
    url: str


class JobView(BaseModel, Generic[K, Q, R]):
    """A job. Times are seconds since the epoch."""

    job_id: str
    kind: K
    state: JobState
    attempt: int = Field(description="How often it has been started")
    created_at: float
    started_at: float | None
    finished_at: float | None
    user: str
    request: Q = Field(description="As it was sent")
    progress: JobProgress
    result: R | None = Field(description="Of a job that succeeded")
    files: tuple[FileView, ...]
    error: ErrorDetails | None = Field(description="Of a job that failed or was cancelled")
    warnings: tuple[Unused, ...] = Field(description="What was sent and is not used")
    webhook: str | None = Field(description="Where its sender is told of it, without the query")
    webhook_events_filter: tuple[str, ...] = Field(description="What is told there")
    status_url: str = Field(description="GET: this")
    events_url: str = Field(description="GET: server-sent events")
    cancel_url: str = Field(description="DELETE: cancel")
    result_url: str = Field(description="GET: the result, once there")


class AvatarJob(JobView[Literal["avatar"], AvatarRequest, PicturesResult]):
    """An avatar."""


class HeroJob(JobView[Literal["hero"], HeroRequest, PicturesResult]):
    """A hero image."""


class ImageJob(JobView[Literal["image"], PlainRequest, PicturesResult]):
    """A picture of a whole prompt."""


class TranscriptionJob(JobView[Literal["transcription"], TranscriptionRequest, TranscriptionResult]):
    """A transcription."""


class LiveJob(JobView[Literal["live"], LiveRequest, TranscriptionResult]):
    """A live session, transcribed."""


AnyJob = Annotated[AvatarJob | HeroJob | ImageJob | TranscriptionJob | LiveJob, Field(discriminator="kind")]
AnyResult = PicturesResult | TranscriptionResult

VIEWS: dict[str, type[JobView[Any, Any, Any]]] = {
    "avatar": AvatarJob,
    "hero": HeroJob,
    "image": ImageJob,
    "transcription": TranscriptionJob,
    "live": LiveJob,
}


def urls_of(job_id: str, base_url: str) -> dict[str, str]:
    """Where more can be asked of a job. `base_url` ends with a slash."""
    here = f"{base_url}jobs/{job_id}"
    return {"status_url": here, "events_url": f"{here}/events", "cancel_url": here, "result_url": f"{here}/result"}


def view_of(job: Job, base_url: str) -> JobView[Any, Any, Any]:
    """The job, with addresses that start with `base_url` (which ends with a slash)."""
    error = job.error
    return VIEWS[job.kind](
        job_id=job.id,
        kind=job.kind,
        state=job.state,
        attempt=job.attempt,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        user=job.user,
        request=job.request,
        progress=job.progress,
        result=job.result,
        files=tuple(
            FileView(
                id=file.id,
                name=file.name,
                media_type=file.media_type,
                size=file.size,
                sha256=file.sha256,
                url=f"{base_url}files/{file.id}",
            )
            for file in job.files
        ),
        error=None if error is None else ErrorDetails(type=error.type, message=error.message, field=error.field),
        warnings=job.warnings,
        # What follows a question mark is often a secret of the receiver's.
        webhook=None if job.webhook is None else job.webhook.address.partition("?")[0],
        webhook_events_filter=() if job.webhook is None else job.webhook.events,
        **urls_of(job.id, base_url),
    )
