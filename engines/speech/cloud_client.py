"""One HTTP call to a transcription service: upload, read the answer, say plainly how it failed.

The wire is OpenAI's `/v1/audio/transcriptions` in its verbose JSON; `confidence` in words and `engine`, `demo` and
`note` beside the text are additions of our own service, absent from others.
"""

from __future__ import annotations

import email.utils
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import httpx

from engines.errors import InvalidMedia, InvalidRequest
from engines.requests import TranscribeRequest
from engines.results import Segment, SpeechModelInfo, Transcript, Word

WHERE = "cloud-run"

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
BUSY_STATUSES = frozenset({429, 503})
"""With a Retry-After: it works, and has enough to do. Without, nobody can tell it from one that is away."""
REFUSED_STATUSES = frozenset({400, 415, 422})
"""The service looked at this request and found it wrong: no other machine would find it right."""

MAX_MESSAGE_CHARS = 500


class CallFailed(Exception):
    """A call that gave no transcript for a reason that is not the request's own. `reason` is fit for a user."""

    def __init__(
        self, reason: str, *, retry: bool = False, retry_after: float | None = None, busy: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry
        self.busy = busy
        self.retry_after = retry_after
        """Seconds that the service asks to wait; None when it did not say."""


async def call_service(
    client: httpx.AsyncClient,
    request: TranscribeRequest,
    file: IO[bytes],
    now: Callable[[], float],
    on_unused: Callable[[str], None] = lambda _: None,
) -> Transcript:
    """Send one file, from its beginning, and read its transcript. `on_unused`: told of what of the request the service
    did not use, in a sentence.

    Raises CallFailed, and InvalidMedia or InvalidRequest when the service refused the file or a field.
    """
    fields: dict[str, str | list[str]] = {
        "model": "default",
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
    }
    if request.language:
        fields["language"] = request.language
    if request.vocabulary:
        fields["vocabulary"] = list(request.vocabulary)
    name = request.filename or "audio"
    try:
        response = await client.post(
            "/v1/audio/transcriptions",
            data=fields,
            files={"file": (name, file, "application/octet-stream")},
        )
    except httpx.ReadTimeout as error:
        # It may still be working on the file: asking again would double its load.
        raise CallFailed("did not answer in time") from error
    except httpx.TimeoutException as error:
        raise CallFailed("could not be reached in time", retry=True) from error
    except httpx.TransportError as error:
        raise CallFailed("could not be reached, or closed the connection", retry=True) from error
    if response.is_success:
        answer = _json(response)
        for sentence in _unused(answer):
            on_unused(sentence)
        return _transcript(answer)
    raise _failure(response, now())


async def read_service_info(client: httpx.AsyncClient) -> SpeechModelInfo | None:
    """What the service's health page says about its model; None when it says nothing usable."""
    try:
        response = await client.get("/health", timeout=3.0)
        about = response.json()
        model = _model(about["model"])
        # That one comes first in the list, which older services do not have.
        others = tuple(map(_model, about.get("speech_models", ())))[1:]
        return replace(model, others=others)
    except (httpx.HTTPError, CallFailed, ValueError, KeyError, TypeError):
        return None


def _model(about: dict[str, Any]) -> SpeechModelInfo:
    name, label, language = (str(about[name]) for name in ("name", "label", "language"))
    return SpeechModelInfo(name, label, bool(about["demo"]), language, WHERE)


def _unused(answer: dict[str, Any]) -> Iterator[str]:
    """What the service says of fields that only our own requests have."""
    warnings = answer.get("warnings")
    for warning in warnings if isinstance(warnings, list) else ():
        if isinstance(warning, dict) and warning.get("field") == "vocabulary":
            yield f"The transcription service: {str(warning.get('message', ''))[:MAX_MESSAGE_CHARS]}"


class CountingFile(io.FileIO):
    """A file that tells how far it has been read, which is how far the upload is."""

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        super().__init__(path, "rb")
        self._on_read = on_read

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size)
        self._on_read(self.tell())
        return data


def _failure(response: httpx.Response, now: float) -> Exception:
    status = response.status_code
    if status in REFUSED_STATUSES:
        return _refusal(response)
    if status in RETRIED_STATUSES:
        asked = _retry_after(response, now)
        busy = status in BUSY_STATUSES and asked is not None
        return CallFailed("is busy" if busy else f"answered {status}", retry=True, retry_after=asked, busy=busy)
    if status == 413:
        return CallFailed("does not take files of this size")
    if status in (401, 403):
        return CallFailed(f"refused this server's credentials ({status})")
    return CallFailed(f"answered {status}")


def _refusal(response: httpx.Response) -> Exception:
    try:
        error = response.json()["error"]
        kind, message = str(error["type"]), str(error["message"])[:MAX_MESSAGE_CHARS]
        field = str(error.get("field") or "file")
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not our service's words: a proxy's page says nothing about the file.
        return CallFailed(f"answered {response.status_code}")
    return InvalidMedia(field, message) if kind == "invalid_media" else InvalidRequest(field, message)


def _retry_after(response: httpx.Response, now: float) -> float | None:
    """Seconds from a Retry-After header, which is a number or a date; None without a usable one."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - now, 0.0)
    except ValueError:
        return None


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        data = response.json()
    except ValueError as error:
        raise CallFailed("answered with something other than a transcript") from error
    if not isinstance(data, dict):
        raise CallFailed("answered with something other than a transcript")
    return data


def _transcript(data: dict[str, Any]) -> Transcript:
    try:
        words = [
            Word(
                word=str(word["word"]),
                start=float(word["start"]),
                end=float(word["end"]),
                confidence=float(word.get("confidence", 0.0)),
            )
            for word in data.get("words") or []
        ]
        bounds = [
            (str(segment["text"]).strip(), float(segment["start"]), float(segment["end"]))
            for segment in data.get("segments") or []
        ]
        return Transcript(
            text=str(data["text"]).strip(),
            segments=_with_words(bounds, words),
            duration=float(data["duration"]),
            language=str(data["language"]),
            engine=str(data.get("engine", WHERE)),
            where=WHERE,
            demo=bool(data.get("demo", False)),
            note=str(data.get("note", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CallFailed("answered with something other than a transcript") from error


def _with_words(bounds: list[tuple[str, float, float]], words: list[Word]) -> tuple[Segment, ...]:
    """Give each segment its words back: the wire has them in one flat list, in order."""
    segments = []
    rest = list(reversed(words))
    for number, (text, start, end) in enumerate(bounds, start=1):
        own: list[Word] = []
        # The last segment takes what rounding left over.
        while rest and (rest[-1].start < end or number == len(bounds)):
            own.append(rest.pop())
        segments.append(Segment(text=text, start=start, end=end, words=tuple(own)))
    return tuple(segments)
