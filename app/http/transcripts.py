"""OpenAI's audio transcription request and its five response formats, for the studio and the Cloud Run service alike.

Usage: `async with open_transcription_form(request, max_bytes=...) as form:` transcribe `form.request()`, then
`render(transcript, form)`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app.http.uploads import Upload, receive_upload
from engines.errors import InvalidRequest
from engines.speech.captions import to_srt, to_vtt
from engines.types import Segment, TranscribeRequest, Transcript, Word

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
Granularity = Literal["word", "segment"]

RESPONSE_FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)

_FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "Any sound or video file."},
        "model": {"type": "string", "description": "Ignored: the loaded model is used."},
        "language": {"type": "string", "description": "BCP 47, e.g. en. Left out: the model's own."},
        "response_format": {"type": "string", "enum": list(RESPONSE_FORMATS), "default": "json"},
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
    language: str | None
    response_format: ResponseFormat
    granularities: frozenset[Granularity]

    def request(self) -> TranscribeRequest:
        return TranscribeRequest(str(self.path), self.filename, self.language)


@contextlib.asynccontextmanager
async def open_transcription_form(
    request: Request, *, max_bytes: int, tmp_dir: Path | None = None
) -> AsyncIterator[TranscriptionForm]:
    """Receive and check a form; its file is deleted at the end of the block. Raises as `receive_upload` does."""
    async with receive_upload(request, max_bytes=max_bytes, tmp_dir=tmp_dir) as upload:
        if _last(upload, "stream", "").lower() in ("true", "1"):
            raise InvalidRequest("stream", "The answer cannot be streamed: leave stream out, or set it to false.")
        yield TranscriptionForm(
            path=upload.path,
            filename=upload.filename,
            language=_last(upload, "language", "").strip() or None,
            response_format=_response_format(_last(upload, "response_format", "json")),
            granularities=_granularities(upload),
        )


def render(
    transcript: Transcript, response_format: ResponseFormat, granularities: frozenset[Granularity] = frozenset()
) -> Response:
    """A transcript in one of OpenAI's formats. `granularities` matters to verbose_json only; empty means segments."""
    if response_format == "text":
        return PlainTextResponse(transcript.text)
    if response_format == "srt":
        return Response(to_srt(transcript), media_type="application/x-subrip; charset=utf-8")
    if response_format == "vtt":
        return Response(to_vtt(transcript), media_type="text/vtt; charset=utf-8")
    if response_format == "verbose_json":
        return JSONResponse(_verbose(transcript, granularities or frozenset({"segment"})))
    return JSONResponse({"text": transcript.text, **_ours(transcript), "usage": _usage(transcript)})


def _verbose(transcript: Transcript, granularities: frozenset[Granularity]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": transcript.language,
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
    }
    if "segment" in granularities:
        body["segments"] = [_segment(number, segment) for number, segment in enumerate(transcript.segments)]
    if "word" in granularities:
        body["words"] = [_word(word) for word in transcript.words]
    return {**body, **_ours(transcript), "usage": _usage(transcript)}


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """OpenAI's segment. Its tokens and odds belong to another kind of model, but typed clients expect the fields."""
    odds = [math.log(max(word.confidence, 1e-3)) for word in segment.words]
    return {
        "id": number,
        "seek": 0,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(sum(odds) / len(odds), 4) if odds else 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _word(word: Word) -> dict[str, Any]:
    """OpenAI's word, and the confidence, which its clients pass over."""
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 4),
    }


def _ours(transcript: Transcript) -> dict[str, Any]:
    """What OpenAI's shape has no place for and its clients pass over."""
    return {
        "no_speech": transcript.no_speech,
        "engine": transcript.engine,
        "where": transcript.where,
        "demo": transcript.demo,
        "note": transcript.note,
    }


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def _last(upload: Upload, name: str, default: str) -> str:
    return upload.fields.get(name, [default])[-1]


def _response_format(value: str) -> ResponseFormat:
    for known in RESPONSE_FORMATS:
        if value == known:
            return known
    raise InvalidRequest(
        "response_format", f"response_format {value[:40]!r} is not one of {', '.join(RESPONSE_FORMATS)}."
    )


def _granularities(upload: Upload) -> frozenset[Granularity]:
    # With brackets from OpenAI's clients, without from people.
    values = [*upload.fields.get("timestamp_granularities[]", []), *upload.fields.get("timestamp_granularities", [])]
    unknown = [value for value in values if value not in GRANULARITIES]
    if unknown:
        raise InvalidRequest(
            "timestamp_granularities[]",
            f"timestamp_granularities[] {unknown[0][:40]!r} is not one of {', '.join(GRANULARITIES)}.",
        )
    return frozenset(known for known in GRANULARITIES if known in values)
