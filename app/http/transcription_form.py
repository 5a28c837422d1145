"""OpenAI's audio transcription request: a form with a file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from starlette.requests import Request

from app.http.uploads import Upload, receive_upload
from engines.errors import InvalidRequest
from engines.requests import MAX_VOCABULARY

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json", "tsv"]
Granularity = Literal["word", "segment"]

RESPONSE_FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)

STREAMED_FORMATS = ("json", "text")

GRANULARITY_FIELD = re.compile(r"timestamp_granularities(\[\d*\])?")
"""With empty brackets from OpenAI's clients, with numbers from those of PHP and the like, without from people."""

VOCABULARY_FIELD = re.compile(r"vocabulary(\[\d*\])?")

USED_FIELDS = ("language", "response_format", "speakers", "stream", "user", "safety_identifier")

MAX_USER_CHARS = 200

_FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "Any sound or video file."},
        "model": {"type": "string", "description": "Not used: the loaded model is."},
        "language": {"type": "string", "description": "BCP 47 or English name. Left out or auto: the model's own."},
        "response_format": {"type": "string", "enum": list(RESPONSE_FORMATS), "default": "json"},
        "stream": {
            "type": "boolean",
            "default": False,
            "description": "With json or text: answer with server-sent events, the text as it is heard.",
        },
        "vocabulary": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": MAX_VOCABULARY,
            "description": "Words and phrases to listen for, and no others; a line or a field for each.",
        },
        "speakers": {
            "type": "boolean",
            "default": False,
            "description": "Tell who speaks: each segment gets its speaker's letter. Needs a speaker model.",
        },
        "user": {"type": "string", "maxLength": MAX_USER_CHARS, "description": "Your end user, opaque."},
        "timestamp_granularities[]": {
            "type": "array",
            "items": {"type": "string", "enum": list(GRANULARITIES)},
            "default": ["segment"],
            "description": "With verbose_json: which times to give.",
        },
    },
}

OPENAPI_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM_SCHEMA}}}
}
"""For a route's `openapi_extra`: the form is read by hand, so FastAPI cannot know its fields."""


@dataclass(frozen=True, slots=True)
class TranscriptionForm:
    """One request as the client sent it; `path` is the uploaded file while the form is open."""

    path: Path
    filename: str
    size: int
    """Of the file, in bytes."""
    sha256: str
    """Of the file, 64 hexadecimal digits."""
    language: str
    """As the client wrote it; empty for the model's own."""
    response_format: ResponseFormat
    stream: bool
    user: str
    """The caller's end user, opaque; empty if it did not say."""
    granularities: frozenset[Granularity]
    vocabulary: tuple[str, ...]
    speakers: bool
    unused: tuple[str, ...]
    """Names of fields that came with a value and change nothing: unknown ones, those that the model has no use for."""


@contextlib.asynccontextmanager
async def open_transcription_form(
    request: Request, *, max_bytes: int, tmp_dir: Path | None = None, model: str | None = None
) -> AsyncIterator[TranscriptionForm]:
    """Receive and check a form; its file is deleted at the end of the block, unless it was moved away.

    `model` is the name of the loaded one; a client that names another has sent it in vain. Raises as `receive_upload`
    does.
    """
    async with receive_upload(request, max_bytes=max_bytes, tmp_dir=tmp_dir) as upload:
        response_format = _response_format(upload.last("response_format"))
        stream = _flag(upload, "stream")
        if stream and response_format not in STREAMED_FORMATS:
            raise InvalidRequest(
                "response_format",
                f"response_format {response_format} cannot be streamed: send json or text, or leave stream out.",
            )
        asked = tuple(name for name in upload.fields if GRANULARITY_FIELD.fullmatch(name))
        used = USED_FIELDS + (asked if response_format == "verbose_json" else ())
        phrases = tuple(name for name in upload.fields if VOCABULARY_FIELD.fullmatch(name))
        used += phrases
        assert upload.path is not None
        yield TranscriptionForm(
            path=upload.path,
            filename=upload.filename,
            size=upload.size,
            sha256=upload.sha256,
            language=upload.last("language"),
            response_format=response_format,
            stream=stream,
            user=_user(upload),
            granularities=_granularities(value for name in asked for value in upload.fields[name]),
            vocabulary=tuple(
                line for name in phrases for value in upload.fields[name] for line in value.splitlines() if line.strip()
            ),
            speakers=_flag(upload, "speakers"),
            unused=upload.unknown((*used, "model") if upload.last("model") == model else used),
        )


def _flag(upload: Upload, name: str) -> bool:
    return upload.last(name).lower() in ("true", "1")


def _user(upload: Upload) -> str:
    for name in ("safety_identifier", "user"):
        if user := upload.last(name):
            if len(user) > MAX_USER_CHARS:
                raise InvalidRequest(
                    name, f"{name} has {len(user)} characters: shorten it to {MAX_USER_CHARS} or fewer."
                )
            return user
    return ""


def _response_format(value: str) -> ResponseFormat:
    value = value or "json"
    for known in RESPONSE_FORMATS:
        if value == known:
            return known
    raise InvalidRequest(
        "response_format", f"response_format {value[:40]!r} is not one of {', '.join(RESPONSE_FORMATS)}."
    )


def _granularities(sent: Iterable[str]) -> frozenset[Granularity]:
    values = list(sent)
    unknown = [value for value in values if value not in GRANULARITIES]
    if unknown:
        raise InvalidRequest(
            "timestamp_granularities[]",
            f"timestamp_granularities[] {unknown[0][:40]!r} is not one of {', '.join(GRANULARITIES)}.",
        )
    return frozenset(known for known in GRANULARITIES if known in values)
