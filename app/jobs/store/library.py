"""What was made: a short row for each job that has a result, and the index of its words.

The rows are written in the transaction that ends the job, so a list and its search know all that is there and nothing
else. A page of a list reads them alone: results themselves may have megabytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from app.jobs.model import AnyKind, Edit, Job
from app.jobs.store import words as index

MERGE_PAGES = 200
"""Of the index, put in order at once: others wait for it."""


@dataclass(frozen=True, slots=True)
class Search:
    """What of an account's is asked for; what is left out is all of it. Newest first."""

    words: str = ""
    kinds: tuple[str, ...] = ()
    preset: str | None = None
    """Its id; the empty text: without one."""
    model: str | None = None
    favourite: bool = False
    """Only those that are marked."""
    before: str | None = None
    """Id of the last job of the page before this one."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Made:
    """One job with a result, as a list shows it. `created_at`: seconds since the epoch."""

    job_id: str
    kind: str
    created_at: float
    preset: str
    model: str
    favourite: bool
    card: BaseModel


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search."""

    made: tuple[Made, ...]
    more: bool
    """Older ones match as well."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What an account's list can be narrowed to."""

    presets: tuple[str, ...]
    models: tuple[str, ...]


class LibraryRows:
    """Reads and writes the rows; transactions are the caller's."""

    def __init__(self, kinds: Mapping[str, AnyKind]) -> None:
        self._kinds = kinds

    def put(self, db: sqlite3.Connection, job: Job, edit: Edit) -> None:
        """List a job that has a result, or list it anew. Whether it is a favourite stays."""
        listing = self._kinds[job.kind].listing(job.request, job.work, job.result, edit)
        if listing is None:
            return
        db.execute(
            "INSERT INTO library (number, job_id, account, kind, preset, model, created_at, card)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET preset = excluded.preset,"
            " model = excluded.model, card = excluded.card",
            (
                job.number,
                job.id,
                job.account,
                job.kind,
                listing.preset,
                listing.model,
                job.created_at,
                listing.card.model_dump_json(),
            ),
        )
        db.execute("DELETE FROM library_words WHERE rowid = ?", (job.number,))
        db.execute("INSERT INTO library_words (rowid, words) VALUES (?, ?)", (job.number, index.indexed(listing.words)))

    def mark(self, db: sqlite3.Connection, job_id: str, *, favourite: bool) -> bool:
        """Whether there is such a job in the list."""
        changed = db.execute(
            "UPDATE library SET favourite = ? WHERE number = (SELECT number FROM jobs WHERE id = ?)",
            (favourite, job_id),
        )
        return changed.rowcount > 0

    def is_marked(self, db: sqlite3.Connection, number: int) -> bool:
        """Whether the job of that number is a favourite."""
        row = db.execute("SELECT favourite FROM library WHERE number = ?", (number,)).fetchone()
        return row is not None and bool(row[0])

    def search(self, db: sqlite3.Connection, account: str, search: Search, before: int | None) -> Found:
        """One page. `before`: number of the job that `search.before` names."""
        source, where = "library", ["account = ?"]
        values: list[str | int] = [account]
        if search.words.strip():
            query = index.query(search.words)
            if query is None:
                return Found((), more=False)
            # In this order: the index gives the newest first, and each is one look at its row.
            source = "library_words CROSS JOIN library ON library.number = library_words.rowid"
            where.append("library_words MATCH ?")
            values.append(query)
        number = "library_words.rowid" if search.words.strip() else "number"
        if before is not None:
            where.append(f"{number} < ?")
            values.append(before)
        if search.kinds:
            where.append(f"kind IN ({', '.join('?' * len(search.kinds))})")
            values.extend(search.kinds)
        for name, wanted in (("preset", search.preset), ("model", search.model)):
            if wanted is not None:
                where.append(f"{name} = ?")
                values.append(wanted)
        if search.favourite:
            where.append("favourite = 1")
        rows = db.execute(
            f"SELECT library.* FROM {source} WHERE {' AND '.join(where)} ORDER BY {number} DESC LIMIT ?",
            (*values, search.limit + 1),
        ).fetchall()
        return Found(tuple(map(self._made, rows[: search.limit])), more=len(rows) > search.limit)

    def choices(self, db: sqlite3.Connection, account: str) -> Choices:
        """The presets and models of what the account has made."""
        rows = db.execute("SELECT DISTINCT preset, model FROM library WHERE account = ?", (account,)).fetchall()
        presets, models = ({row[name] for row in rows} - {""} for name in ("preset", "model"))
        return Choices(tuple(sorted(presets)), tuple(sorted(models)))

    def rename_account(self, db: sqlite3.Connection, old: str) -> None:
        """Follow the jobs, those of an account that was renamed."""
        db.execute(
            "UPDATE library SET account = (SELECT account FROM jobs WHERE number = library.number) WHERE account = ?",
            (old,),
        )

    def merge(self, db: sqlite3.Connection, *, begin: bool) -> bool:
        """Put a part of the index in order: FTS5 only marks what is deleted, and drops it then. False: all of it is.

        `begin`: something was deleted since this was called last (https://sqlite.org/fts5.html#the_merge_command).
        """
        before = db.total_changes
        db.execute(
            "INSERT INTO library_words (library_words, rank) VALUES ('merge', ?)",
            (-MERGE_PAGES if begin else MERGE_PAGES,),
        )
        # The insert itself counts as one.
        return db.total_changes - before >= 2

    def _made(self, row: sqlite3.Row) -> Made:
        card_type = self._kinds[row["kind"]].card_type
        assert card_type is not None, "what is listed has a card"
        return Made(
            job_id=row["job_id"],
            kind=row["kind"],
            created_at=row["created_at"],
            preset=row["preset"],
            model=row["model"],
            favourite=bool(row["favourite"]),
            card=card_type.model_validate_json(row["card"]),
        )
