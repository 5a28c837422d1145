"""What could not be delivered, for the operator: listed and sent again, also beside a running studio."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.jobs.store.database import Database
from app.jobs.store.outbox import Backlog, backlog


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that is not tried any more. `died_at` in seconds since the epoch."""

    id: int
    deliverer: str
    job_id: str
    kind: str
    account: str
    state: str
    tries: int
    died_at: float
    problem: str
    receiver: str
    """Scheme, host and port of a webhook: what follows may be secret. Empty for other deliverers."""


class DeadLetters:
    """Over a database that another process may be using. Everything raises StorageFailed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[DeadLetter]:
        """The oldest first."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT outbox.*, jobs.kind, jobs.account, jobs.webhook FROM outbox JOIN jobs ON jobs.id = job_id"
                " WHERE dead_at IS NOT NULL ORDER BY outbox.id"
            )
            return [_letter(row) for row in rows]

    def backlogs(self, now: float) -> Sequence[Backlog]:
        """Of every deliverer that has something to deliver."""
        with self._database.read() as db:
            names = [row[0] for row in db.execute("SELECT DISTINCT deliverer FROM outbox ORDER BY deliverer")]
            return [backlog(db, name, now) for name in names]

    def resend(self, entry_id: int | None, now: float) -> int:
        """Have this one, or with None all of them, tried anew from `now` on; how many.

        An address that had answered 410 is used again: the operator says that it is back.
        """
        with self._database.write() as db:
            where, values = ("", ()) if entry_id is None else (" AND id = ?", (entry_id,))
            rows = db.execute(
                "UPDATE outbox SET dead_at = NULL, tries = 0, waiting_since = ?, due_at = ?"
                f" WHERE dead_at IS NOT NULL{where} RETURNING job_id",
                (now, now, *values),
            ).fetchall()
            for row in rows:
                db.execute(
                    "DELETE FROM gone_webhooks WHERE (account, address) IN"
                    " (SELECT account, webhook FROM jobs WHERE id = ?)",
                    (row["job_id"],),
                )
            return len(rows)


class GoneWebhooks:
    """Addresses of accounts' webhooks that answered 410: not called any more. All raises StorageFailed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, account: str, address: str, at: float) -> None:
        with self._database.write() as db:
            db.execute("INSERT OR REPLACE INTO gone_webhooks VALUES (?, ?, ?)", (account, address, at))

    def since(self, account: str, address: str) -> float | None:
        """When it answered so; None for one that is in use."""
        with self._database.read() as db:
            row = db.execute(
                "SELECT at FROM gone_webhooks WHERE account = ? AND address = ?", (account, address)
            ).fetchone()
            return None if row is None else float(row["at"])


def _letter(row: sqlite3.Row) -> DeadLetter:
    parts = urlsplit(row["webhook"] or "")
    return DeadLetter(
        id=row["id"],
        deliverer=row["deliverer"],
        job_id=row["job_id"],
        kind=row["kind"],
        account=row["account"],
        state=row["state"],
        tries=row["tries"],
        died_at=row["dead_at"],
        problem=row["problem"] or "",
        receiver=f"{parts.scheme}://{parts.netloc}" if row["deliverer"] == "webhook" else "",
    )
