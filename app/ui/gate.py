"""The only way to Gradio over HTTP: the routes that the page and the named endpoints need, each bound to its caller.

Gradio takes whoever knows the id of a session, an event or an upload, or the path of a file, for its owner, and brings
some sixty routes more. Here ids are made the caller's own before Gradio sees them, files are looked up in the caller's
own folder, and a route that is not in the list below does not exist.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections import OrderedDict
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.concurrency import run_blocking
from app.http.errors import problem, problem_of
from app.http.middleware.limits import MAX_JSON_BYTES, BodyTooLarge
from app.i18n.language import language_of, speaking
from app.i18n.texts import finished
from app.ui.cache import FileCache, caller_id
from app.ui.events import StudioBlocks
from app.ui.uploads import receive_files
from engines.errors import InvalidRequest, StudioError

log = logging.getLogger(__name__)

API = "/gradio_api"

SAME_FOR_ALL = (
    "/",
    "/config",
    "/theme.css",
    "/favicon.ico",
    "/manifest.json",
    f"{API}/info",
    f"{API}/app_id",
    "/assets/{path:path}",
    "/static/{path:path}",
)
"""The page and Gradio's own files. Their queries reach into sessions and hidden endpoints, and are dropped."""

MAX_JSON_DEPTH = 32
"""Files in lists in a form's values lie 4 deep. Gradio walks through values by recursion."""

MAX_EVENTS = 1000
"""Events of one caller that are remembered: far more than one waits for at once."""

NOTHING_HERE = "There is nothing at this address. /docs and /?view=api tell what there is."


class GradioGate:
    """ASGI app in front of `gradio`, which serves `blocks`. Requests come with their caller in `state.account`."""

    def __init__(self, gradio: ASGIApp, blocks: StudioBlocks, files: FileCache, *, max_upload_bytes: int) -> None:
        self._gradio = gradio
        self._blocks = blocks
        self._files = files
        self._max_upload_bytes = max_upload_bytes
        self._events: dict[str, OrderedDict[str, None]] = {}
        routes = [Route(path, self._page) for path in SAME_FOR_ALL]
        routes += [
            Route(f"{API}/upload", self._upload, methods=["POST"]),
            Route(f"{API}/upload_progress", self._upload_progress),
            Route(f"{API}/file={{path:path}}", self._file),
            Route(f"{API}/queue/join", self._join, methods=["POST"]),
            Route(f"{API}/queue/data", self._messages),
            Route(f"{API}/heartbeat/{{session_hash}}", self._heartbeat),
            Route(f"{API}/cancel", self._cancel, methods=["POST"]),
            Route(f"{API}/reset", self._reset, methods=["POST"]),
            Route(f"{API}/call/{{name}}", self._call, methods=["POST"]),
            Route(f"{API}/call/v2/{{name}}", self._call_by_names, methods=["POST"]),
            Route(f"{API}/call/{{name}}/{{event_id}}", self._result),
            Route(f"{API}/call/v2/{{name}}/{{event_id}}", self._result),
        ]
        self._router = Router(routes, redirect_slashes=False, default=_nothing_here)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    # -- what Gradio answers, unchanged but for whose it is

    async def _page(self, request: Request) -> ASGIApp:
        return self._passed(request)

    async def _file(self, request: Request) -> ASGIApp:
        path = await run_blocking(self._files.find, request.state.account, request.path_params["path"])
        if path is None:
            raise HTTPException(404, "There is no such file. It may be gone: read the job again for its files.")
        return self._passed(request, path=f"{API}/file={path}")

    async def _messages(self, request: Request) -> ASGIApp:
        session = _own_session(request, request.query_params.get("session_hash"))
        return self._passed(request, query={"session_hash": session})

    async def _heartbeat(self, request: Request) -> ASGIApp:
        session = _own_session(request, request.path_params["session_hash"])
        return self._passed(request, path=f"{API}/heartbeat/{session}")

    async def _upload_progress(self, request: Request) -> ASGIApp:
        upload = _own_session(request, request.query_params.get("upload_id"), "upload_id")
        return self._passed(request, query={"upload_id": upload})

    async def _result(self, request: Request) -> ASGIApp:
        event_id = request.path_params["event_id"]
        if not self._is_own_event(request, event_id):
            raise HTTPException(404, "There is no such event. A result can be read here once; /job gives it again.")
        return self._passed(request, path=f"{API}/call/{request.path_params['name']}/{event_id}")

    # -- what makes work

    async def _upload(self, request: Request) -> ASGIApp:
        wanted = request.query_params.get("upload_id")
        upload_id = None if wanted is None else _own_session(request, wanted, "upload_id")
        try:
            return await receive_files(
                request, self._files, request.state.account, max_bytes=self._max_upload_bytes, upload_id=upload_id
            )
        except StudioError as error:
            if upload_id is None:
                raise
            # Only the page asks for progress, and it shows a person the whole text of a refusal.
            told = problem_of(error)
            with speaking(language_of(request.headers)):
                text = finished(str(error))
            return PlainTextResponse(text, told.status_code, {"Retry-After": told.headers.get("retry-after", "5")})

    async def _join(self, request: Request) -> ASGIApp:
        try:
            body = await _read_json(request)
            index = body.get("fn_index")
            if type(index) is not int or index not in self._blocks.fns:
                raise InvalidRequest("fn_index", f"There is no event {str(index)[:20]}: reload the page.")
            trigger = body.get("trigger_id")
            known = {
                "data": _values(body),
                "fn_index": index,
                "trigger_id": trigger if type(trigger) is int else None,
                "event_data": body.get("event_data"),
                "session_hash": _own_session(request, body.get("session_hash")),
            }
        except InvalidRequest as error:
            return _refused(error)
        return await self._started(request, f"{API}/queue/join", known)

    async def _call(self, request: Request) -> ASGIApp:
        name = self._endpoint(request)
        try:
            body = await _read_json(request)
            # A call that names no session gets one: Gradio would take the event's id, which is bound to nobody.
            session = _own_session(request, body.get("session_hash") or secrets.token_hex(16))
            known = {"data": _values(body), "session_hash": session}
        except InvalidRequest as error:
            return _refused(error)
        return await self._started(request, f"{API}/call/{name}", known)

    async def _call_by_names(self, request: Request) -> ASGIApp:
        name = self._endpoint(request)
        try:
            values = self._blocks.in_order(name, await _read_json(request))
        except InvalidRequest as error:
            return _refused(error)
        known = {"data": values, "session_hash": _own_session(request, secrets.token_hex(16))}
        return await self._started(request, f"{API}/call/{name}", known)

    def _endpoint(self, request: Request) -> str:
        name: str = request.path_params["name"]
        if name not in self._blocks.endpoints:
            known = ", ".join(f"/{known}" for known in self._blocks.endpoints)
            raise HTTPException(404, f"There is no endpoint /{name[:40]}. There are: {known}.")
        return name

    async def _started(self, request: Request, path: str, body: dict[str, Any]) -> Response:
        """Gradio's answer, which is small, with the new event noted as the caller's."""
        answer = _Buffered()
        await self._passed(request, path=path, body=body)(request.scope, request.receive, answer.send)
        if answer.status == 200:
            own = self._events.setdefault(request.state.account, OrderedDict())
            own[json.loads(answer.body)["event_id"]] = None
            if len(own) > MAX_EVENTS:
                own.popitem(last=False)
        return Response(bytes(answer.body), answer.status, media_type="application/json")

    async def _cancel(self, request: Request) -> ASGIApp:
        try:
            body = await _read_json(request)
            session = _own_session(request, body.get("session_hash"))
        except InvalidRequest as error:
            return _refused(error)
        event_id, index = body.get("event_id"), body.get("fn_index")
        if type(index) is not int or not self._is_own_event(request, event_id):
            # As Gradio answers for an event that has ended.
            return JSONResponse({"success": True})
        known = {"session_hash": session, "event_id": event_id, "fn_index": index}
        return self._passed(request, body=known)

    async def _reset(self, _: Request) -> ASGIApp:
        """Clients still call it; Gradio 6 does nothing with it."""
        return JSONResponse({"success": True})

    def _is_own_event(self, request: Request, event_id: object) -> bool:
        return isinstance(event_id, str) and event_id in self._events.get(request.state.account, ())

    def _passed(
        self,
        request: Request,
        *,
        path: str | None = None,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> ASGIApp:
        """Gradio, asked for `path` (None: the same) with this query and body and no others."""
        scope = dict(request.scope)
        if path is not None:
            scope |= {"path": path, "raw_path": path.encode()}
        scope["query_string"] = urlencode(query or {}).encode()
        sent = b"" if body is None else json.dumps(body).encode()
        # Origins have been judged at the door; Gradio would do so by rules of its own. `_started` reads its answer.
        dropped = {b"origin", b"content-length"} | ({b"accept-encoding"} if body else set())
        headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
        scope["headers"] = [*headers, (b"content-length", str(len(sent)).encode())] if body else headers

        async def asked(_: Scope, receive: Receive, send: Send) -> None:
            await _finished(self._gradio, scope, _Replayed(sent, receive).receive, send)

        return asked


def _own_session(request: Request, value: object, field: str = "session_hash") -> str:
    """A client's id for its session or upload, made the caller's own: no two callers have one in common."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise InvalidRequest(field, f"{field} must be 1 to 64 letters and digits: take a random one for each session.")
    return f"{caller_id(request.state.account)}-{value}"


def _values(body: dict[str, Any]) -> list[Any]:
    values = body.get("data")
    if not isinstance(values, list):
        raise InvalidRequest("data", 'data must be a list of the values in order, e.g. {"data": ["a red knight"]}.')
    return values


async def _read_json(request: Request) -> dict[str, Any]:
    """The body. Raises InvalidRequest, BodyTooLarge."""
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > MAX_JSON_BYTES:
            raise BodyTooLarge(MAX_JSON_BYTES)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("body", "The body is not valid JSON: check quotes and commas.") from error
    if not isinstance(body, dict) or not _is_flat(body, MAX_JSON_DEPTH):
        raise InvalidRequest("body", f"The body must be a JSON object, nested at most {MAX_JSON_DEPTH} deep.")
    return body


def _is_flat(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_flat(item, depth - 1) for item in inner)


def _refused(error: InvalidRequest) -> Response:
    """The one error body, and beside it what Gradio's clients show: the same in the form of Gradio's own checks."""
    detail = {"__type__": "validate", "is_valid": False, "parameter_name": error.field, "message": str(error)}
    told = {"type": "invalid_request", "message": str(error), "field": error.field}
    return JSONResponse({"error": told, "detail": [detail]}, status_code=422)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    await problem(404, "not_found", NOTHING_HERE)(scope, receive, send)


async def _finished(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run `app`; what it raises once it has begun to answer ends the answer."""
    started = ended = False

    async def noted(message: Message) -> None:
        nonlocal started, ended
        started = True
        ended = message["type"] == "http.response.body" and not message.get("more_body")
        await send(message)

    try:
        await app(scope, receive, noted)
    except (Exception, asyncio.CancelledError) as error:
        if not started:
            raise
        # A page's streams never end by themselves: the server's stop cancels them. And an event stream tells its client
        # that the session is not here, and then fails with 404 all the same.
        if not (isinstance(error, asyncio.CancelledError) or isinstance(error.__cause__, HTTPException)):
            # Not ended, so that the server cuts the connection off: nobody must take half an answer for a whole one.
            log.exception("Gradio failed in the middle of an answer")
        elif not ended:
            await send({"type": "http.response.body", "body": b""})


class _Replayed:
    """A request's channel whose body is `body`; after it, what the client does."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def receive(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Buffered:
    """An answer, kept instead of sent."""

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")
