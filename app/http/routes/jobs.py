"""Jobs by id: made without waiting, watched, cancelled, and their results read again after a lost connection."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from app.concurrency import run_blocking
from app.http.deps import Asked, AskedDep, CallerDep, JobDep, ServiceDep, StudioDep, accepted, base_url_of, submit
from app.http.errors import ERRORS, ERRORS_OF_STREAM
from app.http.uploads import receive_upload
from app.http.views import AnyJob, AnyResult, JobView, view_of
from app.jobs.errors import Interrupted, StorageFailed
from app.jobs.live import JobEvent
from app.jobs.model import JobState, Priority, Received, Webhook
from app.jobs.queue import Submission
from app.scopes import require_kind
from app.studio import Studio
from app.work.image import PlainKind, PlainRequest
from app.work.presets import AvatarKind, AvatarRequest, HeroRequest
from app.work.request import JobRequest, unknown_fields
from app.work.speech import TranscriptionKind, TranscriptionRequest
from engines.errors import InvalidRequest
from engines.requests import parse
from engines.results import Unused
from engines.words import shown

router = APIRouter(tags=["jobs"], responses=ERRORS)

MAX_DEADLINE = 7 * 24 * 3600.0


class NewJob(BaseModel):
    """What every kind of job may be sent with."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    user: Annotated[str, Field(max_length=200, description="Your end user, opaque. Users of an account take turns")] = (
        ""
    )
    priority: Annotated[
        Literal["interactive", "batch"], Field(description="batch work waits while interactive work is there")
    ] = "interactive"
    deadline_seconds: Annotated[
        float | None, Field(gt=0, le=MAX_DEADLINE, description="After this the job is failed with deadline_exceeded")
    ] = None
    webhook: Annotated[
        str | None,
        Field(max_length=2000, description="Where the job is posted to as it goes on (standardwebhooks.com)"),
    ] = None
    webhook_events_filter: Annotated[
        list[Literal["queued", "started", "completed"]],
        Field(min_length=1, max_length=3, description="What is told there; completed is every end"),
    ] = ["completed"]


class NewAvatar(NewJob):
    """An avatar."""

    kind: Literal["avatar"]
    request: AvatarRequest


class NewHero(NewJob):
    """A hero image."""

    kind: Literal["hero"]
    request: HeroRequest


class NewImage(NewJob):
    """A picture of a whole prompt."""

    kind: Literal["image"]
    request: PlainRequest


class NewTranscription(NewJob):
    """A transcription of the file at an address; the file itself is sent with POST /jobs/upload."""

    kind: Literal["transcription"]
    request: TranscriptionRequest = TranscriptionRequest()


AnyNewJob = Annotated[NewAvatar | NewHero | NewImage | NewTranscription, Field(discriminator="kind")]

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["job"],
                    "properties": {
                        "job": {"type": "string", "description": "The JSON that POST /jobs takes"},
                        "photo": {"type": "string", "format": "binary", "description": "Of an avatar or image"},
                        "audio": {"type": "string", "format": "binary", "description": "Of a transcription"},
                    },
                }
            }
        },
    }
}


FILE_OF_KIND = {kind.name: kind.input for kind in (AvatarKind, PlainKind, TranscriptionKind)}


@router.post("/jobs", status_code=202, response_model=AnyJob)
async def new_job(body: AnyNewJob, service: StudioDep, asked: AskedDep) -> JSONResponse:
    """Make a job and answer at once with where it can be watched, read and cancelled."""
    _check_webhook(service, body)
    return await _made(service, asked, body, asked.sent, {})


@router.post("/jobs/upload", status_code=202, response_model=AnyJob, openapi_extra=FORM)
async def new_job_with_file(request: Request, service: StudioDep, asked: AskedDep) -> JSONResponse:
    """The same for a job with a file: a form with the JSON as `job`, and the file as `photo` or `audio`."""
    names = tuple(dict.fromkeys(filter(None, FILE_OF_KIND.values())))
    limit, folder = service.max_upload_bytes, service.files.uploads
    async with receive_upload(request, field=names, max_bytes=limit, tmp_dir=folder) as form:
        sent = _json_of(form.last("job"))
        body = parse(_model_of(sent.get("kind")), sent)
        _check_webhook(service, body)
        name = FILE_OF_KIND.get(body.kind)
        if form.field != name:
            takes = f"takes its file as {name}" if name else "takes no file"
            raise InvalidRequest(form.field, f"{form.field} is not for this job: one of kind {body.kind} {takes}.")
        assert form.path is not None
        assert name is not None
        file = await run_blocking(service.files.adopt, form.path, form.sha256, form.filename)
        return await _made(service, asked, body, sent, {name: file})


def _check_webhook(studio: Studio, body: NewJob) -> None:
    if body.webhook is not None:
        studio.check_webhook(body.webhook)


def _model_of(kind: object) -> type[NewAvatar] | type[NewHero] | type[NewImage] | type[NewTranscription]:
    for model in (NewAvatar, NewHero, NewImage, NewTranscription):
        if kind == model.model_fields["kind"].annotation.__args__[0]:  # type: ignore[union-attr]
            return model
    raise InvalidRequest("kind", f"kind is {shown(kind)}: send avatar, hero, image or transcription.")


def _json_of(text: str) -> dict[str, Any]:
    try:
        sent = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("job", "job is not valid JSON: check quotes and commas.") from error
    if not isinstance(sent, dict):
        raise InvalidRequest("job", 'job must be a JSON object, e.g. {"kind": "transcription"}.')
    return sent


async def _made(
    service: Studio,
    asked: Asked,
    body: NewAvatar | NewHero | NewImage | NewTranscription,
    sent: dict[str, Any],
    inputs: dict[str, Received],
) -> JSONResponse:
    require_kind(asked.caller.scopes, body.kind)
    request: JobRequest = body.request
    if isinstance(request, TranscriptionRequest) and "audio" in inputs and not request.filename:
        request = request.model_copy(update={"filename": inputs["audio"].filename})
    inner = sent.get("request")
    warnings = (
        *unknown_fields(sent, set(type(body).model_fields)),
        *unknown_fields(inner if isinstance(inner, dict) else {}, set(type(request).model_fields)),
    )
    if request.post_id and service.settings.firebase_project_id is None:
        warnings = (*warnings, Unused("post_id", "post_id has no effect here: FIREBASE_PROJECT_ID is not set."))
    job = await submit(
        service,
        Submission(
            kind=body.kind,
            request=request,
            account=asked.account,
            inputs=inputs,
            user=body.user,
            priority=Priority[body.priority.upper()],
            deadline_seconds=body.deadline_seconds,
            idempotency_key=asked.idempotency_key,
            warnings=warnings,
            webhook=None
            if body.webhook is None
            else Webhook(body.webhook, tuple(dict.fromkeys(body.webhook_events_filter)), asked.base_url),
        ),
    )
    return accepted(asked, job)


# Those that answer with a whole job are plain functions, which FastAPI runs and encodes on a thread of their own: the
# transcript of hours takes a while.


@router.get("/jobs/{job_id}", response_model=AnyJob)
def read_job(job: JobDep, request: Request) -> JobView[Any, Any, Any]:
    """State, progress and, once there, the result. 404 for an unknown id or somebody else's job."""
    return view_of(job, base_url_of(request))


@router.get("/jobs/{job_id}/result", response_model=AnyResult, responses={202: {"model": AnyJob}})
def read_result(job: JobDep, request: Request) -> Any:
    """The result alone. 202 with the job while it waits or runs; its error if it has none."""
    if not job.final:
        body = view_of(job, base_url_of(request)).model_dump(mode="json")
        return JSONResponse(body, status_code=202, headers={"Retry-After": "1"})
    return job.succeeded().result


class Deleted(BaseModel):
    """A job that is no more."""

    job_id: str
    deleted: Literal[True] = True


@router.delete("/jobs/{job_id}", status_code=202, response_model=AnyJob, responses={200: {"model": Deleted}})
async def cancel_job(
    job_id: str,
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    forget: Annotated[bool, Query(description="Delete the job that has ended, with its files, for good")] = False,
) -> Any:
    """Cancel: at once while queued, within one step while running; a finished job stays as it is.

    With `forget` a finished job is deleted, files, words and corrections included; 409 for one that waits or runs, or
    that somebody is still to be told of. What Firestore and webhooks were told stays there."""
    if not forget:
        return view_of(await service.queue.cancel(job_id, caller.account), base_url_of(request))
    job = await service.queue.get(job_id, caller.account)
    require_kind(caller.scopes, job.kind)
    await run_blocking(service.queue.library.delete, job_id, caller.account)
    return JSONResponse(Deleted(job_id=job_id).model_dump())


def _after(job: JobDep, last_event_id: Annotated[str | None, Header()] = None) -> tuple[int, int]:
    """The event that the client has seen last. One that is none of ours counts as none."""
    match = re.fullmatch(r"(\d{1,15})\.(\d{1,9})(-end)?", last_event_id or "")
    if match is None:
        return (0, 0)
    if match[3] and job.final:
        # Tells an EventSource to stop reconnecting.
        raise HTTPException(204)
    return int(match[1]), int(match[2])


@router.get("/jobs/{job_id}/events", response_class=EventSourceResponse, responses=ERRORS_OF_STREAM)
async def job_events(
    job: JobDep, service: ServiceDep, request: Request, after: Annotated[tuple[int, int], Depends(_after)]
) -> AsyncIterable[ServerSentEvent]:
    """Server-sent events: `queued`, `progress`, `preview`, `segment`, and `completed` with the whole job at the end.

    Each has an id; a client that comes back with it as `Last-Event-ID` gets what it missed and nothing twice. After
    `completed` that answers 204.
    """
    base_url = base_url_of(request)
    try:
        async for event in service.queue.events(job.id, job.account, after):
            yield await _sent(event, base_url)
    except (Interrupted, StorageFailed):
        # The job goes on after the next start, or ends when the disk has room; the client comes back.
        return


async def _sent(event: JobEvent, base_url: str) -> ServerSentEvent:
    number = f"{event.id[0]}.{event.id[1]}"
    job = event.job
    if event.told is not None:
        data = await run_blocking(event.told.data)
        if event.told.type == "progress":
            data["eta_seconds"] = None if job.progress.eta_seconds is None else round(job.progress.eta_seconds, 1)
        return _event(event.told.type, number, data)
    if job.final:
        text = await run_blocking(lambda: view_of(job, base_url).model_dump_json())
        return ServerSentEvent(event="completed", id=f"{number}-end", raw_data=text)
    if job.state is JobState.QUEUED:
        progress = job.progress
        return _event("queued", number, {"ahead": progress.ahead, "eta_seconds": progress.eta_seconds})
    return _event("progress", number, {"stage": job.progress.stage, "step": 0, "total": 0, "fraction": 0.0})


def _event(name: str, number: str, data: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(event=name, id=number, raw_data=json.dumps(data))
