"""Jobs in one SQLite file: WAL, one connection, one writer at a time."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.jobs.model import (
    FINAL,
    INTERRUPTED,
    IdempotencyConflict,
    Job,
    JobError,
    JobFile,
    JobState,
    StorageFailed,
    end_of,
)
from app.jobs.store.folder import private

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    idempotency_key TEXT,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    result TEXT,
    files TEXT NOT NULL DEFAULT '[]',
    error TEXT
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_key ON jobs (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_recent ON jobs (owner, kind, created_at DESC);
CREATE INDEX IF NOT EXISTS jobs_by_end ON jobs (finished_at);
"""
COLUMNS = "id, kind, owner, state, request, created_at, started_at, finished_at, result, files, error"
ALL_COLUMNS = frozenset({*COLUMNS.split(", "), "request_hash", "idempotency_key"})
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
HOLDS_KEY = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED})
"""The states in which a job answers for its Idempotency-Key; after the others a repeat starts the work again."""


class SqliteJobStore:
    """A `JobStore` in the file `path`. Every method may raise StorageFailed."""

    def __init__(self, path: Path, *, may_begin: bool) -> None:
        """`may_begin` is False where results of earlier jobs lie beside it: jobs that are gone must not go unnoticed.

        Raises StorageFailed with a sentence for whoever starts the studio.
        """
        self._path = path
        self._lock = threading.Lock()
        if not may_begin and not path.exists():
            raise self._lost("is missing")
        try:
            # By us and not by SQLite, which would let other users read it. Its -wal and -shm get the same mode.
            with open(path, "ab", opener=private):
                pass
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            try:
                self._open(may_begin)
            except BaseException:
                self._connection.close()
                raise
        except OSError as error:
            raise StorageFailed(
                f"The database {path} cannot be opened ({error.strerror}). Start the studio as its owner, or choose "
                "another folder with STUDIO_DATA_DIR."
            ) from error
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _open(self, may_begin: bool) -> None:
        db = self._connection
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise self._damaged(found)
        is_new = db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        if is_new and not may_begin:
            raise self._lost("is empty")
        columns = {row[1] for row in db.execute("PRAGMA table_info(jobs)")}
        if not is_new and (columns != ALL_COLUMNS or db.execute("PRAGMA user_version").fetchone() != (0,)):
            raise StorageFailed(
                f"The database {self._path} was made by another version of the studio. Start that version, or choose "
                "another folder with STUDIO_DATA_DIR."
            )
        # FULL: an acknowledged job survives a power cut too, for about a millisecond a write.
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(SCHEMA)

    def _lost(self, how: str) -> StorageFailed:
        files = self._path.parent / "files"
        return StorageFailed(
            f"The database {self._path} {how}, but {files} has results of earlier jobs. Restore the database from a "
            f"backup; or, to begin anew, move {files} away."
        )

    def _damaged(self, what: str) -> StorageFailed:
        files = self._path.parent / "files"
        words = " ".join(what.split()).removeprefix("*** in database main *** ")
        return StorageFailed(
            f"The database {self._path} is damaged ({words}). Restore it from a backup; or, to begin anew, move it and "
            f"{files} away."
        )

    def _refused(self, error: sqlite3.Error) -> StorageFailed:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code: the rest of it says where it happened
        if code in DAMAGED:
            return self._damaged(str(error))
        if code == sqlite3.SQLITE_BUSY:
            return StorageFailed(f"The database {self._path} is locked by another program. Close that one.")
        if code == sqlite3.SQLITE_FULL:
            return StorageFailed(f"The disk is full: {self._path} cannot be written. Free some space and start again.")
        return StorageFailed(
            f"The database {self._path} cannot be used ({error}). Check that this user may write it and its folder, "
            "and that the disk is in order."
        )

    def create(self, job: Job, idempotency_key: str | None, request_hash: str) -> Job:
        with self._use() as db:
            if idempotency_key is not None:
                # The key's old job lets go of it if and only if the new one is stored.
                db.execute("BEGIN IMMEDIATE")
                row = db.execute(
                    f"SELECT {COLUMNS}, request_hash FROM jobs WHERE owner = ? AND idempotency_key = ?",
                    (job.owner, idempotency_key),
                ).fetchone()
                if row is not None:
                    if row[-1] != request_hash:
                        raise IdempotencyConflict(
                            f"Idempotency-Key {idempotency_key!r} was used for a different request (job {row[0]}). "
                            "Use a new key for a new request."
                        )
                    earlier = _job(row[:-1])
                    if earlier.state in HOLDS_KEY:
                        return earlier
                    db.execute("UPDATE jobs SET idempotency_key = NULL WHERE id = ?", (earlier.id,))
            db.execute(
                f"INSERT INTO jobs ({COLUMNS}, request_hash, idempotency_key) VALUES ({', '.join('?' * 13)})",
                (*_row(job), request_hash, idempotency_key),
            )
        return job

    def save(self, job: Job) -> None:
        with self._use() as db:
            db.execute(
                "UPDATE jobs SET state = ?, started_at = ?, finished_at = ?, result = ?, files = ?, error = ?"
                " WHERE id = ?",
                (*_changing(job), job.id),
            )

    def discard(self, job_id: str) -> None:
        with self._use() as db:
            db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def get(self, job_id: str) -> Job | None:
        with self._use() as db:
            row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job(row)

    def recent(self, owner: str, kind: str, limit: int) -> list[Job]:
        with self._use() as db:
            rows = db.execute(
                f"SELECT {COLUMNS} FROM jobs WHERE owner = ? AND kind = ? AND state = ?"
                " ORDER BY created_at DESC LIMIT ?",
                (owner, kind, JobState.SUCCEEDED, limit),
            ).fetchall()
        return [_job(row) for row in rows]

    def interrupt_unfinished(self, now: float) -> int:
        with self._use() as db:
            return db.execute(
                "UPDATE jobs SET state = ?, finished_at = ?, error = ? WHERE state IN (?, ?)",
                (JobState.INTERRUPTED, now, json.dumps(asdict(INTERRUPTED)), JobState.QUEUED, JobState.RUNNING),
            ).rowcount

    def delete_finished_before(self, time: float) -> list[str]:
        with self._use() as db:
            states = ", ".join("?" * len(FINAL))
            rows = db.execute(
                f"DELETE FROM jobs WHERE finished_at < ? AND state IN ({states}) RETURNING id", (time, *sorted(FINAL))
            ).fetchall()
        return [row[0] for row in rows]

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time. What the block began is committed, or undone if it raises."""
        with self._lock:
            try:
                with self._connection:
                    yield self._connection
            except sqlite3.Error as error:
                raise StorageFailed(
                    f"The studio's job store could not be used ({error}). Free disk space or check the data folder."
                ) from error


def _changing(job: Job) -> tuple[Any, ...]:
    return (
        job.state.value,
        job.started_at,
        job.finished_at,
        None if job.result is None else json.dumps(job.result),
        json.dumps([asdict(file) for file in job.files]),
        None if job.error is None else json.dumps(asdict(job.error)),
    )


def _row(job: Job) -> tuple[Any, ...]:
    state, started, finished, result, files, error = _changing(job)
    request = json.dumps(job.request)
    return (job.id, job.kind, job.owner, state, request, job.created_at, started, finished, result, files, error)


def _job(row: tuple[Any, ...]) -> Job:
    job_id, kind, owner, state, request, created, started, finished, result, files, error = row
    return Job(
        id=job_id,
        kind=kind,
        owner=owner,
        state=JobState(state),
        request=json.loads(request),
        created_at=created,
        started_at=started,
        finished_at=finished,
        progress=end_of(JobState(state)),
        result=None if result is None else json.loads(result),
        files=tuple(JobFile(**file) for file in json.loads(files)),
        error=None if error is None else JobError(**json.loads(error)),
    )
