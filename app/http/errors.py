"""How errors reach a client: `{"error": {"type", "message", "field"}}` on all routes, and never a stack trace."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.jobs.model import JobError, JobFailed
from engines.errors import StudioError

RETRY_AFTER = 5
"""Seconds, for errors that pass by themselves and do not say when."""

MAX_SHOWN_VALUE = 60
"""Characters of a refused value that a message repeats."""

# By the type that a client sees, because a job that failed yesterday has only that left. What a retry cannot mend must
# not be 408, 409, 429 or 5xx: OpenAI's clients and others send those again by themselves.
STATUS_OF_TYPE = {
    "invalid_request": 422,
    "invalid_media": 422,
    "idempotency_conflict": 422,
    "job_not_found": 404,
    "file_not_found": 404,
    "cancelled": 499,
    "model_missing": 503,
    "model_invalid": 503,
    "out_of_memory": 503,
    "download_failed": 502,
    "engine_crashed": 500,
    "service_unavailable": 503,
    "queue_full": 503,
    "draining": 503,
    "interrupted": 503,
    "storage_failed": 503,
}


def problem(
    status: int, kind: str, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The one error body. `kind` is snake_case for programs, `message` a sentence for people."""
    body = {"error": {"type": kind, "message": message, "field": field}}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def problem_of(error: StudioError) -> JSONResponse:
    """The answer for an engine's or the job layer's error."""
    told = error.error if isinstance(error, JobFailed) else JobError.of(error)
    status = STATUS_OF_TYPE.get(told.type, 500)
    headers = {"Retry-After": str(getattr(error, "retry_after", RETRY_AFTER))} if status == 503 else {}
    return problem(status, told.type, told.message, told.field, headers)


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` answer in this shape."""
    app.add_exception_handler(StudioError, _on_studio_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_bug)


async def _on_studio_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StudioError)
    return problem_of(error)


async def _on_validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    # The first part of the location says body or query, which a client does not call a field.
    field = ".".join(str(part) for part in first["loc"][1:])
    if first["type"] == "json_invalid":
        return problem(422, "invalid_request", "The body is not valid JSON: check quotes and commas.", None)
    value = first.get("input")
    shown = "" if first["type"] == "missing" or isinstance(value, dict | list) else f" {_short(value)}"
    return problem(422, "invalid_request", f"{field or 'body'}{shown}: {first['msg']}.", field or None)


async def _on_http_exception(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return problem(error.status_code, kind, str(error.detail), None, error.headers)


async def _on_bug(_: Request, __: Exception) -> JSONResponse:
    """The server logs the trace itself; a client gets none of it."""
    return problem(500, "internal_error", "Something went wrong in the server; its log has the details. Try again.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_VALUE else f"{text[:MAX_SHOWN_VALUE]}..."
