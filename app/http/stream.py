"""A job's events as OpenAI's clients read them: an answer of server-sent events to the request that made the job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any, Literal

from fastapi.responses import Response
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from app.http.deps import Asked, hung_up, told_when_stopped
from app.jobs.live import JobEvent
from app.jobs.model import Job, JobError
from app.studio import Service
from engines.errors import StudioError

HEARTBEAT = 10.0
"""Seconds without an event after which a comment is sent: proxies end a connection that is silent for a minute."""

Render = Callable[[JobEvent], Awaitable[Iterable[bytes]]]
"""What a job's event is told as, by `sse`; nothing for most."""


class Event(BaseModel):
    """Base of what is told: `type` names it, in the data too."""

    type: str


class StreamError(BaseModel):
    """What OpenAI's clients raise an APIError from; `field` is `param` too, as they call it."""

    type: str
    code: str
    message: str
    param: str | None
    field: str | None


class ErrorEvent(Event):
    """The end of a stream whose job came to nothing."""

    type: Literal["error"] = "error"
    error: StreamError


def sse(event: Event) -> bytes:
    """One server-sent event."""
    return format_sse_event(event=event.type, data_str=event.model_dump_json(exclude_none=True))


def described(*events: type[Event]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: with stream, the answer is these events."""
    told: tuple[type[Event], ...] = (*events, ErrorEvent)
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"oneOf": [event.model_json_schema() for event in told]},
    }
    properties = {"event": {"type": "string"}, "data": data}
    schema = {"type": "object", "required": ["event", "data"], "properties": properties}
    return {200: {"content": {"text/event-stream": {"itemSchema": schema}}}}


class EventStream(Response):
    """Tells a job's events until its end.

    The status waits for the first event: a job that fails before that is answered as without a stream; one that fails
    later ends with an `error` event. When the caller hangs up and has no idempotency key to come back with, the job is
    cancelled.
    """

    def __init__(
        self,
        asked: Asked,
        service: Service,
        job: Job,
        render: Render,
        *,
        named: Callable[[], AbstractContextManager[None]] = nullcontext,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        """`named`: raises errors under the names that the route's caller knows."""
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self.headers["Cache-Control"] = "no-cache"
        self.headers["X-Accel-Buffering"] = "no"
        self._asked = asked
        self._service = service
        self._job = job
        self._render = render
        self._named = named
        self._heartbeat = heartbeat
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - what ASGI gives
        telling = asyncio.ensure_future(self._tell(send))
        beating = asyncio.ensure_future(self._beat(send))
        gone = asyncio.ensure_future(hung_up(receive))
        try:
            await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                await telling
            elif self._asked.idempotency_key is None:
                await self._service.queue.cancel(self._job.id, self._job.account)
        finally:
            for task in (telling, beating, gone):
                task.cancel()

    async def _tell(self, send: Send) -> None:
        try:
            with self._named(), told_when_stopped(self._service):
                async with aclosing(self._service.queue.events(self._job.id, self._job.account)) as events:
                    async for event in events:
                        if event.job.final:
                            event.job.succeeded()
                        for told in await self._render(event):
                            await self._send(send, told)
        except StudioError as error:
            if not self._started:
                raise
            await self._send(send, sse(ErrorEvent(error=_told(error))))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            await self._send(send, KEEPALIVE_COMMENT)

    async def _send(self, send: Send, data: bytes) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": data, "more_body": True})


def _told(error: StudioError) -> StreamError:
    told = JobError.of(error)
    return StreamError(type=told.type, code=told.type, message=told.message, param=told.field, field=told.field)
