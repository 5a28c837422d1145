"""What the routes are given, as named types."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Header, Request

from app.concurrency import run_blocking
from app.jobs.model import Job
from app.work.studio import Studio
from engines.errors import InvalidRequest

MAX_KEY_CHARS = 200


def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


def _owner(request: Request) -> str:
    """Who calls; the auth middleware has put it there."""
    owner: str = request.state.owner
    return owner


def _key(idempotency_key: Annotated[str | None, Header(max_length=MAX_KEY_CHARS)] = None) -> str | None:
    if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise InvalidRequest("Idempotency-Key", "Idempotency-Key must be printable ASCII, e.g. a UUID.")
    return idempotency_key or None


StudioDep = Annotated[Studio, Depends(_studio)]
OwnerDep = Annotated[str, Depends(_owner)]
IdempotencyKeyDep = Annotated[str | None, Depends(_key)]


async def finish(request: Request, studio: Studio, job: Job, *, keep: bool) -> Job:
    """Wait for the job's result; raises JobFailed when it has none.

    When the caller hangs up and nobody can ask for the result again (`keep` is False: no idempotency key), the job is
    cancelled, so that the device is not kept busy for nobody.
    """
    done = asyncio.ensure_future(studio.jobs.finished(job.id, job.owner))
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done() and not keep:
            await run_blocking(studio.jobs.cancel, job.id, job.owner)
        return (await done).succeeded()
    finally:
        gone.cancel()
        done.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
