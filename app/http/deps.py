"""What the routes are given, as named types; and how they submit a job and wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from starlette.types import Receive

from app.accounts import Caller
from app.concurrency import run_blocking
from app.jobs.errors import Interrupted
from app.jobs.model import Job
from app.jobs.queue import Submission
from app.studio import Service, Studio
from engines.errors import InvalidRequest, ServiceUnavailable

MAX_KEY_CHARS = 200


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _studio(request: Request) -> Studio:
    studio = request.app.state.service
    assert isinstance(studio, Studio)
    return studio


def _account(request: Request) -> str:
    """Who calls; the auth middleware has put it there."""
    account: str = request.state.account
    return account


def base_url_of(request: Request) -> str:
    """What the addresses in an answer start with; it ends with a slash. STUDIO_PUBLIC_URL where that is set, else the
    address that was asked for."""
    public: str | None = request.state.public_url
    return str(request.base_url) if public is None else f"{public}/"


def _key(idempotency_key: Annotated[str | None, Header(max_length=MAX_KEY_CHARS)] = None) -> str | None:
    if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise InvalidRequest("Idempotency-Key", "Idempotency-Key must be printable ASCII, e.g. a UUID.")
    return idempotency_key or None


ServiceDep = Annotated[Service, Depends(_service)]
StudioDep = Annotated[Studio, Depends(_studio)]


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]
AccountDep = Annotated[str, Depends(_account)]


async def _job(job_id: str, service: ServiceDep, account: AccountDep) -> Job:
    return await service.queue.get(job_id, account)


JobDep = Annotated[Job, Depends(_job)]
"""The caller's job that the path names."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a route that makes work was asked, beside its body."""

    request: Request
    caller: Caller
    idempotency_key: str | None
    respond_async: bool
    """The client wants the job at once instead of its result (RFC 7240, section 4.1)."""
    sent: dict[str, Any] = field(default_factory=dict)
    """The JSON body as it came: what is in it and not in the route's model is told in the answer's `warnings`."""

    @property
    def account(self) -> str:
        return self.caller.account

    @property
    def base_url(self) -> str:
        return base_url_of(self.request)


async def _asked(
    request: Request,
    caller: CallerDep,
    idempotency_key: Annotated[str | None, Depends(_key)],
    prefer: Annotated[
        str | None, Header(description="respond-async: answer 202 with the job at once (RFC 7240)")
    ] = None,
) -> Asked:
    wishes = [wish.strip().lower() for wish in (prefer or "").split(",")]
    sent: Any = {}
    if not request.headers.get("content-type", "").startswith("multipart/"):
        with suppress(ValueError):  # the route's own model refuses what is no JSON
            sent = await request.json()
    return Asked(request, caller, idempotency_key, "respond-async" in wishes, sent if isinstance(sent, dict) else {})


AskedDep = Annotated[Asked, Depends(_asked)]


async def submit(service: Service, submission: Submission) -> Job:
    """Raises as `Queue.submit` does."""
    return await run_blocking(service.queue.submit, submission)


def accepted(asked: Asked, job: Job) -> JSONResponse:
    """202 with the job, for a client that does not wait."""
    # Here, because only the studio answers so: the speech service, which is to start fast, has no pictures to describe.
    from app.http.views import view_of

    view = view_of(job, asked.base_url)
    headers = {"Location": view.status_url}
    if asked.respond_async:
        headers["Preference-Applied"] = "respond-async"
    return JSONResponse(view.model_dump(mode="json"), status_code=202, headers=headers)


async def finish(asked: Asked, service: Service, job: Job, *, keep: bool = False) -> Job:
    """Wait for the job's result; raises JobFailed when it has none, Interrupted when the server stops before.

    When the caller hangs up and nobody can ask for the result again (no idempotency key, and not `keep`), the job is
    cancelled, so that the device is not kept busy for nobody.
    """
    done = asyncio.ensure_future(service.queue.finished(job.id, job.account))
    gone = asyncio.ensure_future(hung_up(asked.request.receive))
    try:
        with told_when_stopped(service):
            await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not done.done() and not keep and asked.idempotency_key is None:
                await service.queue.cancel(job.id, job.account)
            return (await done).succeeded()
    finally:
        gone.cancel()
        done.cancel()


@contextmanager
def told_when_stopped(service: Service) -> Iterator[None]:
    """Interrupted promises that the job goes on; of the speech service, which keeps nothing, it is not raised."""
    try:
        yield
    except Interrupted as error:
        if isinstance(service, Studio):
            raise
        raise ServiceUnavailable("The service was stopped before it had finished: try again.") from error


async def hung_up(receive: Receive) -> None:
    """Wait until the client of a request that has been read is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
