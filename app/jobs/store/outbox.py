"""The outbox: what is to be delivered of a job is stored in the transaction that changes it, until it arrived.

So no state can be on disk without its deliveries being there too (https://microservices.io/patterns/data/
transactional-outbox.html). A delivery may happen twice, after a crash between sending and noting it: it has the same
message id then, and deliverers make it harmless.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

from app.jobs.model import Job, JobError, JobProgress, JobState
from app.jobs.store.database import Database

log = logging.getLogger(__name__)


class Deliverer(Protocol):
    """Tells one receiver of jobs."""

    name: str
    """Stored with each entry, so it never changes."""

    def wants(self, job: Job) -> bool:
        """Whether this state of the job is to be told. Asked at every change of state, in its transaction: it reads
        `job` and nothing else."""

    def order_key(self, job: Job) -> str:
        """What is told under one key arrives in order: a later entry waits for an earlier one that is tried again."""

    def deliver(self, job: Job, message_id: str) -> None:
        """Tell it: `job` as it was in the entry's state. `message_id` is the same whenever the entry is tried.

        Called by several threads at once, for different keys. An entry that the operator has sent again may come after
        later ones of its key. Raises DeliveryFailed to be called again later, DeliveryRefused where that is in vain.
        """


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to be delivered. Times are seconds since the epoch."""

    id: int
    job_id: str
    state: JobState
    attempt: int
    at: float
    """When the job came to that state."""
    error: JobError | None
    ordered_by: str
    unsure: bool
    """The deliverer could not say whether it wants it, so it is asked again."""
    waiting_since: float
    tries: int

    @property
    def message_id(self) -> str:
        # The job's part keeps it apart from those of another data folder, and of a backup that was put back.
        return f"msg_{self.job_id}_{self.id}"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a deliverer has not delivered."""

    deliverer: str
    waiting: int
    oldest_seconds: float
    """How long the first of them has waited; 0 if nothing waits."""
    dead: int
    problem: str
    """Of the last try that failed and has not been made good; empty if there is none."""


class Outbox:
    """Thread-safe. Methods that raise StorageFailed may wait for the disk."""

    def __init__(
        self,
        database: Database,
        deliverers: tuple[Deliverer, ...],
        read_job: Callable[[sqlite3.Connection, str], Job | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._deliverers = deliverers
        self._read_job = read_job
        self.now = now
        self._changed = threading.Condition()
        self._changes = 0

    def add(self, db: sqlite3.Connection, job: Job) -> None:
        """Note what is to be delivered of a job's new state, due at once, in the transaction that changes it."""
        for deliverer in self._deliverers:
            unsure = False
            ordered_by = job.id
            try:
                if not deliverer.wants(job):
                    continue
                ordered_by = deliverer.order_key(job)
            except Exception:
                # A deliverer's bug must neither undo the job's end nor lose what may be wanted: it is asked again when
                # the entry is due, and in the end the entry stands among the dead ones for the operator to see.
                log.exception("%s could not tell whether it wants job %s", deliverer.name, job.id)
                unsure = True
            now = self.now()
            db.execute(
                "INSERT INTO outbox (deliverer, job_id, state, attempt, at, error, ordered_by, unsure, waiting_since,"
                " due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    deliverer.name,
                    job.id,
                    job.state.value,
                    job.attempt,
                    # A job that waits again has been made long before.
                    now if job.state is JobState.QUEUED else job.finished_at or job.started_at or now,
                    None if job.error is None else json.dumps(asdict(job.error)),
                    ordered_by,
                    unsure,
                    now,
                    now,
                ),
            )

    # -- what senders do

    def due(self, deliverer: str, limit: int) -> list[Entry]:
        """The longest due entries that wait for no earlier one of their key, at most `limit`. Raises StorageFailed."""
        with self._database.read() as db:
            rows = db.execute(
                f"SELECT * FROM outbox AS entry WHERE {_FIRST_OF_KEY} AND due_at <= ? ORDER BY due_at, id LIMIT ?",
                (deliverer, self.now(), limit),
            )
            return [_entry(row) for row in rows]

    def next_due(self, deliverer: str) -> float | None:
        """When the next entry falls due that is not due yet. Raises StorageFailed."""
        with self._database.read() as db:
            row = db.execute(
                f"SELECT due_at FROM outbox AS entry WHERE {_FIRST_OF_KEY} AND due_at > ? ORDER BY due_at LIMIT 1",
                (deliverer, self.now()),
            ).fetchone()
            return None if row is None else float(row["due_at"])

    def job(self, entry: Entry) -> Job:
        """The job as it was when it came to the entry's state. Raises StorageFailed."""
        with self._database.read() as db:
            job = self._read_job(db, entry.job_id)
        assert job is not None, "the outbox refers to jobs that are there"
        final, same_run = entry.state.final, entry.attempt == job.attempt
        succeeded = entry.state is JobState.SUCCEEDED
        return job.with_(
            state=entry.state,
            attempt=entry.attempt,
            error=entry.error,
            started_at=None if entry.state is JobState.QUEUED else job.started_at if same_run else None,
            finished_at=entry.at if final else None,
            result=job.result if succeeded else None,
            files=job.files if succeeded else (),
            progress=JobProgress.stored(entry.state),
        )

    def delivered(self, entry: Entry) -> None:
        """Raises StorageFailed."""
        # Not durable: after a power cut it is delivered again, under the same message id.
        with self._database.write(durable=False) as db:
            db.execute("DELETE FROM outbox WHERE id = ?", (entry.id,))

    def failed(self, entry: Entry, problem: str, due_at: float) -> None:
        """To be tried again at `due_at`. Raises StorageFailed."""
        with self._database.write(durable=False) as db:
            db.execute(
                "UPDATE outbox SET tries = tries + 1, due_at = ?, problem = ?, failed_at = ? WHERE id = ?",
                (due_at, problem, self.now(), entry.id),
            )

    def bury(self, entry: Entry, problem: str) -> None:
        """Not to be tried again until the operator says so. Raises StorageFailed."""
        with self._database.write() as db:
            db.execute(
                "UPDATE outbox SET tries = tries + 1, dead_at = ?, problem = ?, failed_at = ? WHERE id = ?",
                (self.now(), problem, self.now(), entry.id),
            )

    @property
    def changes(self) -> int:
        """Grows whenever something may have come, for `wait`."""
        return self._changes

    def wake(self) -> None:
        """Something may have come, or whoever waits is to look whether it should stop. Never waits for the disk."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Until `changes` is another than `seen`, for `seconds` at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, seconds)

    # -- what the operator sees

    def backlogs(self) -> list[Backlog]:
        """Of every deliverer. Raises StorageFailed."""
        with self._database.read() as db:
            return [backlog(db, deliverer.name, self.now()) for deliverer in self._deliverers]


_FIRST_OF_KEY = (
    "deliverer = ? AND dead_at IS NULL AND NOT EXISTS (SELECT 1 FROM outbox AS earlier WHERE"
    " earlier.deliverer = entry.deliverer AND earlier.ordered_by = entry.ordered_by AND earlier.dead_at IS NULL"
    " AND earlier.id < entry.id)"
)


def backlog(db: sqlite3.Connection, deliverer: str, now: float) -> Backlog:
    waiting, since = db.execute(
        "SELECT count(*), min(waiting_since) FROM outbox WHERE deliverer = ? AND dead_at IS NULL", (deliverer,)
    ).fetchone()
    (dead,) = db.execute(
        "SELECT count(*) FROM outbox WHERE deliverer = ? AND dead_at IS NOT NULL", (deliverer,)
    ).fetchone()
    last = db.execute(
        "SELECT problem FROM outbox WHERE deliverer = ? AND problem IS NOT NULL ORDER BY failed_at DESC LIMIT 1",
        (deliverer,),
    ).fetchone()
    oldest = 0.0 if since is None else max(0.0, now - since)
    return Backlog(deliverer, int(waiting), oldest, int(dead), "" if last is None else str(last["problem"]))


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(
        id=row["id"],
        job_id=row["job_id"],
        state=JobState(row["state"]),
        attempt=row["attempt"],
        at=row["at"],
        error=None if row["error"] is None else JobError(**json.loads(row["error"])),
        ordered_by=row["ordered_by"],
        unsure=bool(row["unsure"]),
        waiting_since=row["waiting_since"],
        tries=row["tries"],
    )
