"""What can go wrong in an engine.

StudioError                   everything below; `str(error)` is fit for a user to read
├── InvalidRequest            a field's value cannot be used (names field, value and remedy)
│   └── InvalidMedia          the uploaded audio, video or picture cannot be decoded
├── Cancelled                 the caller's cancel event was set
├── ModelMissing              a model that the request needs is not on disk (says how to get it)
├── ModelInvalid              a model's files are there but cannot be used
├── OutOfMemory               the device's memory did not suffice; the next request may
├── DownloadFailed            a model could not be fetched or did not verify
├── EngineCrashed             native code died; only this request is lost
└── ServiceUnavailable        a remote engine did not answer in time or at all
"""


class StudioError(Exception):
    """Base of all errors that a user may be shown: the text says what happened and what to do."""


class InvalidRequest(StudioError):
    """A request's field cannot be used.

    `field` is the public name of the field, so that a form or an API client can point at it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class InvalidMedia(InvalidRequest):
    """An uploaded file is not what it should be: empty, truncated, not audio, too long."""


class Cancelled(StudioError):
    """The caller set the cancel event; the engine has cleaned up."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)


class ModelMissing(StudioError):
    """A model is not on disk; the text says how to get it."""


class ModelInvalid(StudioError):
    """A model's files cannot be used: wrong format, pickle, damaged."""


class OutOfMemory(StudioError):
    """The device ran out of memory for this request; its cache has been freed."""


class DownloadFailed(StudioError):
    """A model could not be fetched, or what came does not match its checksum."""


class EngineCrashed(StudioError):
    """A worker process died while it worked on this request."""


class ServiceUnavailable(StudioError):
    """A remote engine could not be used: unreachable, timed out, overloaded."""
