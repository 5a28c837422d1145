"""Why there is no job, or nothing of one: each with a code, an HTTP status and one sentence.

StudioError
  JobNotFound          404
  FileNotFound         404
  JobUnfinished        409
  Undelivered          409
  NothingMade          409
  EditConflict         412
  QueueFull            503
  Draining             503
  Interrupted          503
  GaveUp               503
  StorageFailed        503
    StorageBusy
  DeadlineExceeded     504
  InvalidRequest
    IdempotencyConflict  422
"""

from __future__ import annotations

from engines.errors import InvalidRequest, StudioError


class JobNotFound(StudioError):
    """No job of this account has this id."""

    code = "job_not_found"
    status = 404

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id[:64]!r}. It may have been deleted, or the id is mistyped.")


class FileNotFound(StudioError):
    """No file of this account has this id."""

    code = "file_not_found"
    status = 404

    def __init__(self, file_id: str) -> None:
        super().__init__(f"There is no file {file_id[:80]!r}. It may have been deleted, or the id is mistyped.")


class JobUnfinished(StudioError):
    """What was asked for is for jobs that have ended."""

    code = "job_unfinished"
    status = 409

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(
            f"Job {job_id} is {state}, and only one that has ended can be deleted. Cancel it first (DELETE "
            f"/jobs/{job_id} without forget), or wait for its end."
        )


class Undelivered(StudioError):
    """Somebody is still to be told of a job, so it cannot be deleted."""

    code = "undelivered"
    status = 409
    retry_after = 60

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"Job {job_id} cannot be deleted yet: a webhook or Firestore is still to be told of it. Try again once "
            "that has arrived or was given up; whoever runs the studio sees both with python3 launch.py doctor."
        )


class NothingMade(StudioError):
    """The job has no result that could be marked or packed."""

    code = "nothing_made"
    status = 409

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"Job {job_id} has no result: its state is {state}. Choose one that succeeded.")


class QueueFull(StudioError):
    """As many jobs wait for the device as it takes."""

    code = "queue_full"
    status = 503
    retry_after = 15
    """About one SDXL picture."""


class Draining(StudioError):
    """The server is shutting down and takes no new work."""

    code = "draining"
    status = 503
    retry_after = 30

    def __init__(self) -> None:
        super().__init__("The studio is shutting down and takes no new work. Try again in a moment.")


class Interrupted(StudioError):
    """The server stops while somebody waits for a job, which is kept and run after the next start."""

    code = "interrupted"
    status = 503
    retry_after = 30

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"The studio stopped before job {job_id} was finished. The job is kept and goes on after the next start: "
            f"read it at /jobs/{job_id}, or send the request again with the same Idempotency-Key."
        )


class DeadlineExceeded(StudioError):
    """The job was not finished in the time that its sender gave it."""

    code = "deadline_exceeded"
    status = 504

    def __init__(self) -> None:
        super().__init__("The job was not finished before its deadline. Send it again with more time.")


class GaveUp(StudioError):
    """The job's runs have ended with the process too often."""

    code = "interrupted"
    status = 503

    def __init__(self, attempts: int) -> None:
        super().__init__(
            f"The studio stopped {attempts} times in the middle of this job, so it is not started again by itself. "
            "Send it again; if that ends in the same way, send less at once."
        )


class StorageFailed(StudioError):
    """The data folder could not be written: disk full, not writable, damaged."""

    code = "storage_failed"
    status = 503
    retry_after = 5


class StorageBusy(StorageFailed):
    """Another program holds the database for longer than we wait: what could not be stored can be, later."""


class EditConflict(StudioError):
    """Somebody else has edited the result meanwhile."""

    code = "edit_conflict"
    status = 412
    field = "revision"

    def __init__(self, sent: int, latest: int) -> None:
        super().__init__(
            f"revision is {sent}, and the result is at {latest} by now: read it again, and send your changes for that."
        )


class IdempotencyConflict(InvalidRequest):
    """The Idempotency-Key was used before for a different request."""

    code = "idempotency_conflict"

    def __init__(self, key: str, job_id: str) -> None:
        super().__init__(
            "Idempotency-Key",
            f"Idempotency-Key {key!r} was used for a different request (job {job_id}). "
            "Use a new key for a new request.",
        )
