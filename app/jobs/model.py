"""What a job is, to everybody who looks at one: frozen snapshots, and the errors of the job layer."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from engines.errors import StudioError


class JobState(StrEnum):
    """queued -> running -> one of the four final states."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The server stopped before the job finished."""


FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job has no result: `type` in snake_case for programs, `message` for people, `field` if one is to blame."""

    type: str
    message: str
    field: str | None = None

    @classmethod
    def of(cls, error: StudioError) -> JobError:
        return cls(error_type(error), str(error), getattr(error, "field", None))

    def public(self) -> dict[str, Any]:
        return {"type": self.type, "message": self.message, "field": self.field}


INTERRUPTED = JobError("interrupted", "The studio stopped before this job finished. Send it again.")


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is. `ahead` counts the jobs before a queued one; `eta_seconds` is None until it can be told."""

    stage: str = "queued"
    step: int = 0
    total: int = 0
    fraction: float = 0.0
    eta_seconds: float | None = None
    ahead: int = 0

    def public(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "step": self.step,
            "total": self.total,
            "fraction": round(self.fraction, 4),
            "eta_seconds": None if self.eta_seconds is None else round(self.eta_seconds, 1),
            "ahead": self.ahead,
        }


@dataclass(frozen=True, slots=True)
class JobFile:
    """One file of a result. `id` is what `/files/{id}` takes; `size` in bytes."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot of one job. Times are seconds since the epoch."""

    id: str
    kind: str
    """image or speech."""
    owner: str
    state: JobState
    request: dict[str, Any]
    """The request in public names, JSON types only, without uploaded bytes."""
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    progress: JobProgress = JobProgress()
    result: dict[str, Any] | None = None
    files: tuple[JobFile, ...] = ()
    error: JobError | None = None

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def public(self) -> dict[str, Any]:
        """What a program sees of the job, JSON types only."""
        return {
            "job_id": self.id,
            "kind": self.kind,
            "state": self.state.value,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "request": self.request,
            "progress": self.progress.public(),
            "result": self.result,
            "files": [{"id": f.id, "name": f.name, "media_type": f.media_type, "size": f.size} for f in self.files],
            "error": None if self.error is None else self.error.public(),
        }

    def succeeded(self) -> Job:
        """The job itself if it has a result, else JobFailed with the reason: an error is never taken for a result."""
        if self.state is JobState.SUCCEEDED:
            return self
        raise JobFailed(self.error or JobError("unfinished", f"Job {self.id} is {self.state.value}."))

    def with_(self, **changes: Any) -> Job:
        return replace(self, **changes)


class JobFailed(StudioError):
    """A job ended without a result; `error` is what the job recorded."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error
        self.field = error.field


def end_of(state: JobState) -> JobProgress:
    """The progress that a final job shows."""
    return JobProgress(state.value, 1, 1, 1.0, 0.0) if state is JobState.SUCCEEDED else JobProgress(state.value)


class JobNotFound(StudioError):
    """No job of this owner has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id[:64]!r}. It may have been deleted, or the id is mistyped.")


class FileNotFound(StudioError):
    """No file of this owner has this id."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"There is no file {file_id[:80]!r}. It may have been deleted, or the id is mistyped.")


class QueueFull(StudioError):
    """The lane has as many jobs waiting as it takes."""

    retry_after = 15
    """Seconds; about one SDXL picture."""


class Draining(StudioError):
    """The server is shutting down and takes no new work."""

    retry_after = 30

    def __init__(self) -> None:
        super().__init__("The studio is shutting down and takes no new work. Try again in a moment.")


class IdempotencyConflict(StudioError):
    """The Idempotency-Key was used before for a different request."""


class StorageFailed(StudioError):
    """The data folder could not be written: disk full, not writable, damaged."""


def error_type(error: StudioError) -> str:
    """The snake_case name that programs see: InvalidRequest -> invalid_request."""
    if isinstance(error, JobFailed):
        return error.error.type
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
