"""Jobs, their files, their history and what is to be delivered of them, as rows.

Functions on a transaction (`db`) leave its beginning and end to whoever changes a job's state: see `app.jobs.queue`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from app.jobs.model import (
    AnyKind,
    Edit,
    Job,
    JobError,
    JobFile,
    JobProgress,
    JobState,
    Priority,
    Received,
    Webhook,
)
from engines.results import Unused

FINAL = tuple(state.value for state in JobState if state.final)


@dataclass(frozen=True, slots=True)
class StateChange:
    """One line of a job's history; `id` grows with time over all jobs."""

    id: int
    state: JobState
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class Keyed:
    """The job that an Idempotency-Key belongs to, and the hash of its request; None for one of an earlier version."""

    job: Job
    request_hash: str | None


class JobRows:
    """Reads and writes jobs. `kinds` turn stored requests and results into their types again."""

    def __init__(self, kinds: Mapping[str, AnyKind]) -> None:
        self._kinds = kinds

    # -- reading

    def get(self, db: sqlite3.Connection, job_id: str) -> Job | None:
        row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else self._job(db, row)

    def state(self, db: sqlite3.Connection, job_id: str) -> tuple[JobState, int] | None:
        """The job's state and attempt."""
        row = db.execute("SELECT state, attempt FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else (JobState(row["state"]), row["attempt"])

    def number_of(self, db: sqlite3.Connection, job_id: str, account: str) -> int | None:
        """In order of arrival; None where the account has no such job."""
        row = db.execute("SELECT number FROM jobs WHERE id = ? AND account = ?", (job_id, account)).fetchone()
        return None if row is None else int(row["number"])

    def by_key(self, db: sqlite3.Connection, account: str, key: str) -> Keyed | None:
        row = db.execute("SELECT * FROM jobs WHERE account = ? AND idempotency_key = ?", (account, key)).fetchone()
        return None if row is None else Keyed(self._job(db, row), row["request_hash"])

    def recent(self, db: sqlite3.Connection, account: str, kinds: Sequence[str], limit: int) -> list[Job]:
        """The account's newest succeeded jobs of these kinds, newest first."""
        marks = ", ".join("?" * len(kinds))
        rows = db.execute(
            f"SELECT * FROM jobs WHERE account = ? AND kind IN ({marks}) AND state = 'succeeded' "
            "ORDER BY number DESC LIMIT ?",
            (account, *kinds, limit),
        ).fetchall()
        return [self._job(db, row) for row in rows]

    def unfinished(self, db: sqlite3.Connection) -> list[Job]:
        """In order of arrival."""
        # Not sorted by SQLite, which would read the whole table in its own order for that.
        rows = db.execute("SELECT * FROM jobs WHERE state IN ('queued', 'running')").fetchall()
        return sorted((self._job(db, row) for row in rows), key=lambda job: job.number)

    def history(self, db: sqlite3.Connection, job_id: str) -> list[StateChange]:
        rows = db.execute("SELECT id, state, attempt, at FROM events WHERE job_id = ? ORDER BY id", (job_id,))
        return [StateChange(row["id"], JobState(row["state"]), row["attempt"], row["at"]) for row in rows]

    def inputs(self, db: sqlite3.Connection, job_id: str) -> dict[str, str]:
        """Name -> hash of each file that the job needs to run."""
        rows = db.execute("SELECT name, sha256 FROM files WHERE job_id = ? AND input = 1", (job_id,))
        return {row["name"]: row["sha256"] for row in rows}

    def unfinished_of(self, db: sqlite3.Connection, device: str) -> int:
        """How many jobs of a device wait or run."""
        row = db.execute(
            "SELECT count(*) FROM jobs WHERE device = ? AND state IN ('queued', 'running')", (device,)
        ).fetchone()
        return int(row[0])

    def made_since(self, db: sqlite3.Connection, then: float) -> list[tuple[str, str, int]]:
        """Account, user and how many jobs they have sent since `then`."""
        rows = db.execute("SELECT account, user, count(*) FROM jobs WHERE created_at >= ? GROUP BY 1, 2", (then,))
        return [(row[0], row[1], row[2]) for row in rows]

    # -- writing

    def add(self, db: sqlite3.Connection, job: Job, key: str | None, request_hash: str) -> Job:
        """Store a new job. The result has its number and its turn."""
        turn = self._next_turn(db, job)
        cursor = db.execute(
            "INSERT INTO jobs (id, kind, device, account, user, state, priority, turn, request, work, warnings,"
            " idempotency_key, request_hash, created_at, deadline, webhook, webhook_events, webhook_base_url)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job.id,
                job.kind,
                job.device,
                job.account,
                job.user,
                job.state.value,
                job.priority.value,
                turn,
                job.request.model_dump_json(exclude_unset=True),
                job.work.model_dump_json(),
                json.dumps([asdict(warning) for warning in job.warnings]),
                key,
                request_hash,
                job.created_at,
                job.deadline,
                *_webhook_columns(job.webhook),
            ),
        )
        assert cursor.lastrowid is not None
        return job.with_(number=cursor.lastrowid, turn=turn)

    def again(self, db: sqlite3.Connection, job: Job, deadline: float | None, webhook: Webhook | None) -> Job:
        """Take an ended job back to the queue, as its sender asks."""
        turn = self._next_turn(db, job)
        db.execute(
            "UPDATE jobs SET device = ?, turn = ?, deadline = ?, earlier_attempts = attempt, result = NULL,"
            " error = NULL, started_at = NULL, finished_at = NULL, webhook = ?, webhook_events = ?,"
            " webhook_base_url = ? WHERE id = ?",
            (job.device, turn, deadline, *_webhook_columns(webhook), job.id),
        )
        ended = {"started_at": None, "finished_at": None, "result": None, "error": None}
        return job.with_(turn=turn, deadline=deadline, webhook=webhook, **ended)

    def move(self, db: sqlite3.Connection, job: Job) -> Job:
        """Take a job to the queue of another device, with what that is to do. The result has its turn there."""
        turn = self._next_turn(db, job)
        work = job.work.model_dump_json()
        db.execute("UPDATE jobs SET device = ?, turn = ?, work = ? WHERE id = ?", (job.device, turn, work, job.id))
        return job.with_(turn=turn)

    def _next_turn(self, db: sqlite3.Connection, job: Job) -> int:
        """The turn that the device is at, or the one after the user's own last.

        Start-time fair queueing with equal costs (Goyal, Vin, Cheng: SIGCOMM 1996): who has nothing in the queue goes
        before another's second job, and nobody saves turns up.
        """
        same = (job.device, job.priority.value)
        (now,) = db.execute(
            "SELECT coalesce(max(CASE state WHEN 'running' THEN turn END), min(turn), 0) FROM jobs"
            " WHERE device = ? AND state IN ('queued', 'running') AND priority = ?",
            same,
        ).fetchone()
        (own,) = db.execute(
            "SELECT coalesce(max(turn) + 1, 0) FROM jobs WHERE device = ? AND state IN ('queued', 'running')"
            " AND priority = ? AND account = ? AND user = ?",
            (*same, job.account, job.user),
        ).fetchone()
        return int(max(now, own))

    def next_queued(self, db: sqlite3.Connection, device: str) -> Job | None:
        # The second condition is the index's own: SQLite does not see that the first implies it.
        row = db.execute(
            "SELECT * FROM jobs WHERE device = ? AND state = 'queued' AND state IN ('queued', 'running')"
            " ORDER BY priority, turn, number LIMIT 1",
            (device,),
        ).fetchone()
        return None if row is None else self._job(db, row)

    def change(self, db: sqlite3.Connection, job: Job) -> int:
        """Store the job's state and what belongs to it. Returns the id of the new line of its history."""
        db.execute(
            "UPDATE jobs SET state = ?, attempt = ?, started_at = ?, finished_at = ?, result = ?, error = ?"
            " WHERE id = ?",
            (
                job.state.value,
                job.attempt,
                job.started_at,
                job.finished_at,
                None if job.result is None else job.result.model_dump_json(),
                None if job.error is None else json.dumps(asdict(job.error)),
                job.id,
            ),
        )
        return self.note(db, job, job.finished_at or job.started_at or job.created_at)

    def note(self, db: sqlite3.Connection, job: Job, at: float) -> int:
        cursor = db.execute(
            "INSERT INTO events (job_id, state, attempt, at) VALUES (?, ?, ?, ?)",
            (job.id, job.state.value, job.attempt, at),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def add_inputs(self, db: sqlite3.Connection, job_id: str, inputs: Mapping[str, Received]) -> None:
        for name, file in inputs.items():
            db.execute(
                "INSERT INTO files (id, job_id, input, name, media_type, size, sha256) VALUES (?, ?, 1, ?, '', ?, ?)",
                (f"{job_id}-{name}", job_id, name, file.size, file.sha256),
            )

    def add_files(self, db: sqlite3.Connection, job_id: str, files: Iterable[JobFile]) -> None:
        for file in files:
            db.execute(
                "INSERT INTO files (id, job_id, input, name, media_type, size, sha256) VALUES (?, ?, 0, ?, ?, ?, ?)",
                (file.id, job_id, file.name, file.media_type, file.size, file.sha256),
            )

    def edit(self, db: sqlite3.Connection, job_id: str) -> Edit:
        row = db.execute("SELECT revision, content FROM edits WHERE job_id = ?", (job_id,)).fetchone()
        return Edit(0, None) if row is None else Edit(row["revision"], row["content"])

    def put_edit(self, db: sqlite3.Connection, job_id: str, content: str | None, at: float) -> Edit:
        row = db.execute(
            "INSERT INTO edits (job_id, revision, at, content) VALUES (?, 1, ?, ?) ON CONFLICT (job_id) DO UPDATE"
            " SET revision = revision + 1, at = excluded.at, content = excluded.content RETURNING revision",
            (job_id, at, content),
        ).fetchone()
        return Edit(row["revision"], content)

    def drop_inputs(self, db: sqlite3.Connection, job_id: str) -> list[str]:
        """Forget what the job needed to run; the hashes that nobody refers to any more."""
        return self._dropped(db, "job_id = ? AND input = 1", (job_id,))

    def forget(self, db: sqlite3.Connection, ended_before: float, limit: int) -> tuple[list[str], list[str]]:
        """Delete up to `limit` old jobs with nothing left to deliver: their ids, and content that nobody needs now.

        What could not be delivered goes with its job.
        """
        rows = db.execute(
            f"SELECT id FROM jobs WHERE finished_at < ? AND state IN ({', '.join('?' * len(FINAL))})"
            " AND NOT EXISTS (SELECT 1 FROM outbox WHERE job_id = jobs.id AND dead_at IS NULL) LIMIT ?",
            (ended_before, *FINAL, limit),
        ).fetchall()
        gone = [sha256 for row in rows for sha256 in self.delete(db, row["id"])]
        return [row["id"] for row in rows], gone

    def delete(self, db: sqlite3.Connection, job_id: str) -> list[str]:
        """Delete a job and what belongs to it: the hashes that nobody refers to any more."""
        gone = self._dropped(db, "job_id = ?", (job_id,))
        db.execute("DELETE FROM outbox WHERE job_id = ?", (job_id,))
        db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        return gone

    def is_undelivered(self, db: sqlite3.Connection, job_id: str) -> bool:
        """Somebody is still to be told of the job."""
        row = db.execute("SELECT 1 FROM outbox WHERE job_id = ? AND dead_at IS NULL LIMIT 1", (job_id,)).fetchone()
        return row is not None

    def _dropped(self, db: sqlite3.Connection, where: str, values: tuple[str, ...]) -> list[str]:
        rows = db.execute(f"DELETE FROM files WHERE {where} RETURNING sha256", values).fetchall()
        return [row["sha256"] for row in rows if not self.is_referred(db, row["sha256"])]

    def rename_account(self, db: sqlite3.Connection, old: str, new: str) -> None:
        """Give an account's jobs to another, but for those whose Idempotency-Key that one has used itself."""
        db.execute("UPDATE OR IGNORE jobs SET account = ? WHERE account = ?", (new, old))
        db.execute("UPDATE OR IGNORE gone_webhooks SET account = ? WHERE account = ?", (new, old))
        db.execute("UPDATE OR IGNORE correction_lists SET account = ? WHERE account = ?", (new, old))

    def referred(self, db: sqlite3.Connection) -> set[str]:
        """The hashes of all content that some job refers to."""
        return {row["sha256"] for row in db.execute("SELECT DISTINCT sha256 FROM files")}

    def is_referred(self, db: sqlite3.Connection, sha256: str) -> bool:
        return db.execute("SELECT 1 FROM files WHERE sha256 = ? LIMIT 1", (sha256,)).fetchone() is not None

    def runs(self, db: sqlite3.Connection, job: Job) -> int:
        """How often the job was started since its sender asked for it last, but for runs that a stop broke off."""
        (earlier,) = db.execute("SELECT earlier_attempts FROM jobs WHERE id = ?", (job.id,)).fetchone()
        return job.attempt - int(earlier)

    def pardon_run(self, db: sqlite3.Connection, job_id: str) -> None:
        """Do not count the job's last run in `runs`."""
        db.execute("UPDATE jobs SET earlier_attempts = earlier_attempts + 1 WHERE id = ?", (job_id,))

    def _job(self, db: sqlite3.Connection, row: sqlite3.Row) -> Job:
        kind = self._kinds[row["kind"]]
        state = JobState(row["state"])
        files = db.execute("SELECT * FROM files WHERE job_id = ? AND input = 0 ORDER BY rowid", (row["id"],))
        return Job(
            id=row["id"],
            number=row["number"],
            kind=row["kind"],
            device=row["device"],
            account=row["account"],
            user=row["user"],
            state=state,
            priority=Priority(row["priority"]),
            turn=row["turn"],
            attempt=row["attempt"],
            request=kind.request_type.model_validate_json(row["request"]),
            work=kind.work_type.model_validate_json(row["work"]),
            warnings=tuple(Unused(**warning) for warning in json.loads(row["warnings"])),
            created_at=row["created_at"],
            deadline=row["deadline"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            progress=JobProgress.stored(state),
            result=None if row["result"] is None else kind.result_type.model_validate_json(row["result"]),
            files=tuple(_file(file) for file in files),
            error=None if row["error"] is None else JobError(**json.loads(row["error"])),
            webhook=None
            if row["webhook"] is None
            else Webhook(row["webhook"], tuple(json.loads(row["webhook_events"])), row["webhook_base_url"]),
        )


def _webhook_columns(webhook: Webhook | None) -> tuple[str | None, str, str]:
    if webhook is None:
        return None, "[]", ""
    return webhook.address, json.dumps(webhook.events), webhook.base_url


def _file(row: sqlite3.Row) -> JobFile:
    return JobFile(row["id"], row["name"], row["media_type"], row["size"], row["sha256"])
