"""The studio's work as tools for agents: the Model Context Protocol over streamable HTTP, at `/mcp`.

The tools take what the kinds' requests take and make the same jobs, so an agent sees what every other client sees.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
from fastapi import FastAPI
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    ImageContent,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from pydantic import Field
from starlette.requests import Request as HttpRequest
from starlette.routing import Route

from app.about import version
from app.concurrency import run_blocking
from app.http.deps import MAX_KEY_CHARS, base_url_of
from app.http.views import view_of
from app.jobs.model import Job, JobError
from app.jobs.queue import Submission
from app.scopes import require_kind
from app.studio import Studio
from app.work.image import PicturesResult
from app.work.picture_file import Wish, made
from app.work.presets import AvatarRequest, HeroRequest
from app.work.request import JobRequest, unknown_fields
from app.work.speech import TranscriptionRequest, TranscriptionResult
from engines.errors import InvalidRequest, StudioError
from engines.requests import Request, parse
from engines.words import did_you_mean

SHOWN_PIXELS = 512
"""Width of the pictures in an answer: an agent's model looks at no more, and the whole ones have addresses."""

RETRY_KEY = "idempotency_key"
ABOUT_KEY = {
    "type": "string",
    "maxLength": MAX_KEY_CHARS,
    "description": "A UUID. With it the job goes on when the connection is lost, and the same call again returns it",
}

Context = ServerRequestContext[Any, Any]


class JobId(Request):
    """Which job."""

    job_id: str = Field(min_length=1, max_length=64, description="As the tool that made the job told it")


KINDS: dict[str, tuple[str, type[JobRequest], str]] = {
    "avatar": ("avatar", AvatarRequest, "Make avatar pictures of a person from a prompt, and perhaps a photo."),
    "hero": ("hero", HeroRequest, "Make wide hero pictures for a post, from a prompt or the post's title and summary."),
    "transcribe": ("transcription", TranscriptionRequest, "Transcribe the sound or video file at an address."),
}
"""Tool -> the kind of job it makes, that kind's request, and what it is for."""

BY_ID = {
    "job": "Read a job: its state, and its result once it is there.",
    "cancel": "Cancel a job that waits or runs.",
}


def add_mcp(app: FastAPI, studio: Studio) -> Callable[[], AbstractAsyncContextManager[None]]:
    """Serve `/mcp`. What is returned is to be entered while the app runs."""
    tools = Tools(studio)
    server: Server[Any] = Server(
        "carrot-studio", version=version(), on_list_tools=tools.list_tools, on_call_tool=tools.call_tool
    )
    # Stateless: a session's id would be a second thing, beside the token, that says who calls. Hosts and origins are
    # looked at by our own middleware, which knows the studio's names.
    manager = StreamableHTTPSessionManager(
        server, stateless=True, security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False)
    )
    app.router.routes.append(Route("/mcp", StreamableHTTPASGIApp(manager)))
    return manager.run


class Tools:
    """What the server's requests come to."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def list_tools(self, _: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        made = [Tool(name=name, description=about, input_schema=_schema(of)) for name, (_, of, about) in KINDS.items()]
        read = [
            Tool(name=name, description=about, input_schema=JobId.model_json_schema()) for name, about in BY_ID.items()
        ]
        return ListToolsResult(tools=made + read)

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        arguments = dict(params.arguments or {})
        try:
            if params.name in KINDS:
                return await self._make(context, params.name, arguments)
            if params.name in BY_ID:
                return await self._by_id(context, params.name, parse(JobId, arguments).job_id)
            known = [*KINDS, *BY_ID]
            raise InvalidRequest("name", f"There is no tool {params.name[:40]!r}.{did_you_mean(params.name, known)}")
        except StudioError as error:
            told = JobError.of(error)
            problem = {"type": told.type, "message": told.message, "field": told.field}
            text = TextContent(type="text", text=told.message)
            return CallToolResult(content=[text], structured_content={"error": problem}, is_error=True)

    async def _make(self, context: Context, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        kind, request_type, _ = KINDS[tool]
        require_kind(_request(context).state.caller.scopes, kind)
        key = arguments.pop(RETRY_KEY, None)
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY_CHARS):
            raise InvalidRequest(
                RETRY_KEY, f"{RETRY_KEY} must be a text of 1 to {MAX_KEY_CHARS} characters, e.g. a UUID."
            )
        submission = Submission(
            kind=kind,
            request=parse(request_type, arguments),
            account=_account(context),
            idempotency_key=key,
            warnings=unknown_fields(arguments, set(request_type.model_fields)),
        )
        made = job = await run_blocking(self._studio.queue.submit, submission)
        try:
            async for job in self._studio.queue.watch(made.id, made.account):
                told = f"{job.progress.stage}, job {job.id}"
                await context.session.report_progress(job.progress.fraction, 1.0, told)
        except asyncio.CancelledError:
            # The agent cancelled, or is gone: nobody can ask for the result but who has a key.
            if key is None:
                with anyio.CancelScope(shield=True):
                    await self._studio.queue.cancel(made.id, made.account)
            raise
        return await self._answer(context, job.succeeded())

    async def _by_id(self, context: Context, tool: str, job_id: str) -> CallToolResult:
        act = self._studio.queue.cancel if tool == "cancel" else self._studio.queue.get
        return await self._answer(context, await act(job_id, _account(context)))

    async def _answer(self, context: Context, job: Job) -> CallToolResult:
        base_url = base_url_of(_request(context))
        told = await run_blocking(lambda: json.loads(view_of(job, base_url).model_dump_json()))
        content: list[ContentBlock] = [TextContent(type="text", text=_summary(job, told))]
        if isinstance(job.result, PicturesResult):
            for file in job.files:
                small = await run_blocking(
                    made, await self._studio.queue.library.content(file), Wish("webp", SHOWN_PIXELS)
                )
                content.append(
                    ImageContent(type="image", data=base64.b64encode(small).decode(), mime_type="image/webp")
                )
        return CallToolResult(content=content, structured_content=told)


def _request(context: Context) -> HttpRequest:
    request = context.request
    assert isinstance(request, HttpRequest)
    return request


def _account(context: Context) -> str:
    """Who calls; the auth middleware has put it there."""
    account: str = _request(context).state.account
    return account


def _schema(of: type[JobRequest]) -> dict[str, Any]:
    schema = of.model_json_schema()
    # The hashes are the queue's to fill in.
    fields = {name: told for name, told in schema["properties"].items() if not name.endswith("_sha256")}
    return schema | {"properties": fields | {RETRY_KEY: ABOUT_KEY}}


def _summary(job: Job, told: dict[str, Any]) -> str:
    if isinstance(job.result, TranscriptionResult):
        return job.result.text or "Nobody speaks in it."
    if isinstance(job.result, PicturesResult):
        return "\n".join(f"{file['name']}: {file['url']}" for file in told["files"])
    problem = f": {job.error.message}" if job.error else ""
    return f"Job {job.id} is {job.state.value}{problem}"
