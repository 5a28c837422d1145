"""The outbox: what is to be delivered of a job is stored in the transaction that ends it, and stays until it arrived.

So nothing can be final without its deliveries being on disk too (https://microservices.io/patterns/data/
transactional-outbox.html). A delivery may happen twice, after a crash between the two: deliverers make that harmless.
"""

from __future__ import annotations

import sqlite3
from typing import Protocol

from app.jobs.model import Job


class Deliverer(Protocol):
    """Tells one receiver of jobs' ends."""

    name: str
    """Stored with each entry, so it never changes."""

    def wants(self, job: Job) -> bool:
        """Whether this end is to be told. Called in the transaction: it reads `job` and nothing else."""


def add_entries(db: sqlite3.Connection, deliverers: tuple[Deliverer, ...], job: Job, now: float) -> None:
    """Note what is to be delivered of a job's end, due at once."""
    for deliverer in deliverers:
        if deliverer.wants(job):
            db.execute(
                "INSERT INTO outbox (deliverer, job_id, attempt, due_at) VALUES (?, ?, ?, ?)",
                (deliverer.name, job.id, job.attempt, now),
            )
