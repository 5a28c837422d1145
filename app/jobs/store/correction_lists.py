"""Each account's corrections for what the speech models cannot spell."""

from __future__ import annotations

from pydantic import TypeAdapter

from app.jobs.store.database import Database
from engines.requests import Correction, Corrections

_LIST: TypeAdapter[tuple[Correction, ...]] = TypeAdapter(Corrections)


class CorrectionLists:
    """One list an account, empty until it is put. All raises StorageFailed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account: str) -> tuple[Correction, ...]:
        with self._database.read() as db:
            row = db.execute("SELECT content FROM correction_lists WHERE account = ?", (account,)).fetchone()
        return () if row is None else _LIST.validate_json(row["content"])

    def put(self, account: str, corrections: tuple[Correction, ...]) -> None:
        """Keep this list in place of the one before."""
        with self._database.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO correction_lists (account, content) VALUES (?, ?)",
                (account, _LIST.dump_json(corrections).decode()),
            )
