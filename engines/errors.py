"""What can go wrong in an engine. Each class says what programs see: a `code`, and the HTTP `status` that fits it.

StudioError                   everything below; `str(error)` is fit for a user to read
├── InvalidRequest            a field's value cannot be used (names field, value and remedy)
│   ├── InvalidMedia          the uploaded audio, video or picture cannot be decoded
│   └── NobodyFound           there are no people in the picture whose background is to be taken away
├── Cancelled                 the caller's cancel event was set
├── ModelMissing              a model that the request needs is not on disk (says how to get it)
├── ModelInvalid              a model's files are there but cannot be used
├── OutOfMemory               the device's memory did not suffice; the next request may
├── DownloadFailed            a model could not be fetched or did not verify
├── EngineCrashed             native code died; only this request is lost
│   └── ProcessLost           the engine's process ended in the middle; the request can be run again
└── ServiceUnavailable        a remote engine did not answer in time or at all

What a retry cannot mend must not be 408, 409, 429 or 5xx: OpenAI's clients and others send those again by themselves.
"""

from __future__ import annotations

from typing import ClassVar


class StudioError(Exception):
    """Base of all errors that a user may be shown: the text says what happened and what to do."""

    code: ClassVar[str] = "internal_error"
    """snake_case; programs decide by it, so it never changes."""
    status: ClassVar[int] = 500
    """The HTTP status of an answer that tells of it (RFC 9110, section 15)."""
    retry_after: int | None = None
    """Seconds after which the same request may succeed; None where only a change helps."""
    field: str | None = None
    """The public name of the field to blame, so that a form or an API client can point at it."""


class InvalidRequest(StudioError):
    """A request's field cannot be used."""

    code = "invalid_request"
    status = 422
    field: str

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class InvalidMedia(InvalidRequest):
    """An uploaded file is not what it should be: empty, truncated, not audio, too long."""

    code = "invalid_media"


class NobodyFound(InvalidRequest):
    """A picture without people: its background cannot be told from the rest."""

    code = "nobody_found"

    def __init__(self) -> None:
        super().__init__(
            "background",
            "Nobody was found in this picture, so its background cannot be told from the rest: the model that does it "
            "finds people, best in photographs. Keep the background.",
        )


class Cancelled(StudioError):
    """The caller set the cancel event; the engine has cleaned up."""

    code = "cancelled"
    status = 499
    """nginx's "client closed request": no retry follows it."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)


class ModelMissing(StudioError):
    """A model is not on disk; the text says how to get it."""

    code = "model_missing"
    status = 503
    retry_after: int | None = 5


class ModelInvalid(StudioError):
    """A model's files cannot be used: wrong format, pickle, damaged."""

    code = "model_invalid"
    status = 503
    retry_after = 5


class OutOfMemory(StudioError):
    """The device ran out of memory for this request; its cache has been freed."""

    code = "out_of_memory"
    status = 503
    retry_after = 5


class DownloadFailed(StudioError):
    """A model could not be fetched, or what came does not match its checksum."""

    code = "download_failed"
    status = 502


class EngineCrashed(StudioError):
    """A worker process died while it worked on this request."""

    code = "engine_crashed"


class ProcessLost(EngineCrashed):
    """The engine's process ended while it worked on this request. A new one takes its place, which can run it again."""


class ServiceUnavailable(StudioError):
    """A remote engine could not be used: unreachable, timed out, overloaded."""

    code = "service_unavailable"
    status = 503
    retry_after = 5
