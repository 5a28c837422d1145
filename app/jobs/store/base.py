"""What the job layer asks of a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.jobs.files import MediaStore
from app.jobs.model import Job


class JobStore(Protocol):
    """Keeps jobs over restarts. Every method returns after the data is safe on disk. Thread-safe."""

    def create(self, job: Job, idempotency_key: str | None, request_hash: str) -> Job:
        """Store a new job, or return the one that the same owner made before with this key.

        A job that ended without a result gives its key to the new one. Raises IdempotencyConflict when the earlier
        job's request was another, however it ended.
        """

    def save(self, job: Job) -> None:
        """Store the job's new state."""

    def discard(self, job_id: str) -> None:
        """Forget a job that was never acknowledged; its idempotency key is free again."""

    def get(self, job_id: str) -> Job | None: ...

    def recent(self, owner: str, kind: str, limit: int) -> list[Job]:
        """The owner's newest succeeded jobs of a kind, newest first."""

    def interrupt_unfinished(self, now: float) -> int:
        """Mark jobs that an earlier process left unfinished; how many there were."""

    def delete_finished_before(self, time: float) -> list[str]:
        """Forget old jobs; their ids, so that their files can go too."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that is kept on disk. `close` gives the data folder back to whoever wants it next."""

    jobs: JobStore
    media: MediaStore
    close: Callable[[], None]
