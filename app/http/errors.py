"""How errors reach a client: `{"error": {"type", "message", "field"}}` on all routes, and never a stack trace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter
from starlette.exceptions import HTTPException

from app.jobs.model import JobError
from app.jobs.quota import RateLimited, Standing
from engines.errors import InvalidRequest, StudioError
from engines.requests import refusal

WITH_SUCCESS = frozenset({"/generate", "/txt2img", "/transcribe"})
"""Routes of existing clients, which look for `success` in an error too."""


class ErrorDetails(BaseModel):
    """`type` is snake_case for programs, `message` a sentence for people, `field` the one to blame, if there is one."""

    type: str
    message: str
    field: str | None


class ErrorBody(BaseModel):
    """What every route answers where it cannot do what was asked."""

    error: ErrorDetails


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "What was sent cannot be used; the message says why."},
    "5XX": {"model": ErrorBody, "description": "The studio cannot do it now; Retry-After says when to try again."},
}
"""For a router's `responses`."""

_ERROR_BODY = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}

ERRORS_OF_STREAM: dict[int | str, dict[str, Any]] = {
    status: {"description": told["description"], "content": _ERROR_BODY} for status, told in ERRORS.items()
}
"""For a route whose own answers are no JSON: FastAPI would take its errors to be none either."""


def problem(
    status: int, kind: str, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The one error body. `kind` is snake_case for programs, `message` a sentence for people."""
    body = {"error": {"type": kind, "message": message, "field": field}}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def problem_of(error: StudioError) -> JSONResponse:
    """The answer for an engine's or the job layer's error."""
    told = JobError.of(error)
    headers = {} if told.retry_after is None else {"Retry-After": str(told.retry_after)}
    if isinstance(error, RateLimited):
        headers |= rate_headers([error.standing])
    return problem(told.status, told.type, told.message, told.field, headers)


def rate_headers(standings: Sequence[Standing]) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit`, where there are limits."""
    if not standings:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{one.name}";q={one.limit};w={one.window}' for one in standings),
        "RateLimit": ", ".join(f'"{one.name}";r={one.left};t={one.reset}' for one in standings),
    }


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` answer in this shape."""
    app.add_exception_handler(StudioError, _on_studio_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_bug)


async def _on_studio_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StudioError)
    return _as_expected(request, problem_of(error))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _as_expected(request, problem_of(_refusal(request, error.errors()[0])))


def _refusal(request: Request, first: Any) -> InvalidRequest:
    if first["type"] == "json_invalid":
        return InvalidRequest("body", "The body is not valid JSON: check quotes and commas.")
    # The first part of the location says body or query, which a client does not call a field.
    place: Sequence[str | int] = first["loc"][1:]
    route = request.scope.get("route")
    schema: dict[str, Any] = {}
    if first["loc"][0] == "body" and isinstance(route, APIRoute) and route.body_field is not None:
        body = route.body_field.field_info
        # mypy cannot know that this is a type.
        annotated: Any = Annotated[body.annotation, body]
        schema = TypeAdapter(annotated).json_schema()
    # A job's fields are called as its kind calls them, not by where they lie in the body.
    named = list(place[1:]) if "discriminator" in schema else list(place)
    if len(named) > 1 and named[0] == "request":
        del named[0]
    return refusal(first, schema, place, ".".join(map(str, named)))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NO_CONTENT:
        return Response(status_code=error.status_code, headers=error.headers)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return _as_expected(request, problem(error.status_code, kind, str(error.detail), None, error.headers))


async def _on_bug(request: Request, __: Exception) -> Response:
    """The server logs the trace itself; a client gets none of it."""
    message = "Something went wrong in the server; its log has the details. Try again."
    return _as_expected(request, problem(500, "internal_error", message))


def _as_expected(request: Request, answer: JSONResponse) -> Response:
    """The answer, with `success: false` beside it on the routes whose clients look for that."""
    path = request.scope["path"]
    if path not in WITH_SUCCESS:
        return answer
    beside: dict[str, Any] = {"success": False}
    if path == "/transcribe":
        beside |= {"postId": getattr(request.state, "post_id", ""), "status": "failed"}
    headers = {name: value for name, value in answer.headers.items() if name not in ("content-length", "content-type")}
    body = answer.body.decode() if isinstance(answer.body, bytes) else bytes(answer.body).decode()
    return JSONResponse(beside | json.loads(body), answer.status_code, headers)
