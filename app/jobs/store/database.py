"""One SQLite file: how it is opened, judged and refused, and how it is read and written.

One connection writes, under a lock that is held until the disk has it; others read, and wait for nobody (SQLite's
write-ahead log, https://sqlite.org/wal.html). Nothing here may be called on an event loop's thread.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self

from app.jobs.errors import StorageBusy, StorageFailed
from app.jobs.store.folder import private
from app.jobs.store.migrations import MIGRATIONS

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
BUSY_SECONDS = 10.0
"""How long a write waits for another program, a backup perhaps, that has locked the file."""


class Database:
    """The database `folder/jobs.db`, brought to this version's form. Thread-safe."""

    def __init__(self, folder: Path, *, may_begin: bool, busy_seconds: float = BUSY_SECONDS) -> None:
        """`may_begin` is False where results of earlier jobs lie beside it: jobs that are gone must not go unnoticed.
        `busy_seconds`: how long to wait for another program that holds the database.

        Raises StorageFailed with a sentence for whoever starts the studio.
        """
        self._path = folder / "jobs.db"
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        if not may_begin and not self._path.exists():
            raise self._lost("is missing")
        try:
            # By us and not by SQLite, which would let other users read it. Its -wal and -shm get the same mode.
            with open(self._path, "ab", opener=private):
                pass
            self._writer = self._connect(str(self._path))
            try:
                self._open(may_begin)
            except BaseException:
                self._writer.close()
                raise
        except OSError as error:
            raise StorageFailed(
                f"The database {self._path} cannot be opened ({error.strerror}). Start the studio as its owner, or "
                "choose another folder with STUDIO_DATA_DIR."
            ) from error
        except sqlite3.Error as error:
            raise self._refused(error) from error

    @classmethod
    def beside_studio(cls, folder: Path) -> Self:
        """The database of a studio that may be running: nothing is made, and its form stays as it is.

        Raises StorageFailed with a sentence for whoever typed the command.
        """
        path = folder / "jobs.db"
        if not path.is_file():
            raise StorageFailed(f"There is no database {path}. Check STUDIO_DATA_DIR, or start the studio once.")
        if path.stat().st_uid != os.geteuid():
            # SQLite's -wal and -shm would belong to this user, and the studio could not write them any more.
            raise StorageFailed(f"The database {path} belongs to another user. Type the command as its owner.")
        with closing(sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)) as looking:
            try:
                (version,) = looking.execute("PRAGMA user_version").fetchone()
            except sqlite3.Error as error:
                raise StorageFailed(f"The database {path} cannot be read ({error}).") from error
        if version != len(MIGRATIONS):
            raise StorageFailed(f"The database {path} is of another version. Start this version of the studio once.")
        return cls(folder, may_begin=False)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nobody else writes until the end of the block."""
        with self._lock:
            yield

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction: committed at the end of the block, undone if it raises. Raises StorageFailed.

        With `durable` it survives a power cut, for about a millisecond; without, only the end of the process.
        """
        with self._lock, self._sentences():
            db = self._writer
            db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended it already.
                if db.in_transaction:
                    with suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """What was committed last, without waiting for who writes. Raises StorageFailed."""
        with self._sentences():
            try:
                connection = self._readers.get_nowait()
            except Empty:
                connection = self._connect(f"{self._path.resolve().as_uri()}?mode=ro")
            try:
                yield connection
            finally:
                self._readers.put(connection)

    def close(self) -> None:
        with self._lock:
            with suppress(Empty):
                while True:
                    self._readers.get_nowait().close()
            # Last, because only who may write takes the write-ahead log into the file.
            self._writer.close()

    def _connect(self, address: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            address, uri=True, check_same_thread=False, isolation_level=None, timeout=self._busy_seconds
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys=ON")
        # What is deleted is overwritten: some builds of SQLite do so by themselves, others leave it in free pages.
        connection.execute("PRAGMA secure_delete=ON")
        return connection

    def _open(self, may_begin: bool) -> None:
        db = self._writer
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise self._damaged(found)
        is_new = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
        if is_new and not may_begin:
            raise self._lost("is empty")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS) or (version == 0 and not is_new and not self._is_first_version()):
            raise StorageFailed(
                f"The database {self._path} was made by another version of the studio. Start that version, or choose "
                "another folder with STUDIO_DATA_DIR."
            )
        db.execute("PRAGMA journal_mode=WAL")
        for number in range(version, len(MIGRATIONS)):
            with self.write() as transaction:
                MIGRATIONS[number](transaction, self._path.parent)
                transaction.execute(f"PRAGMA user_version={number + 1}")

    def _is_first_version(self) -> bool:
        """Version 0 was never numbered, and had one table with these columns."""
        columns = {row["name"] for row in self._writer.execute("PRAGMA table_info(jobs)")}
        return columns == {
            *("id", "kind", "owner", "state", "request", "request_hash", "idempotency_key", "created_at"),
            *("started_at", "finished_at", "result", "files", "error"),
        }

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            sentence = f"The studio's job store could not be used ({error})."
            if _primary_code(error) == sqlite3.SQLITE_BUSY:
                raise StorageBusy(f"{sentence} Another program holds it; try again when that has ended.") from error
            raise StorageFailed(f"{sentence} Free disk space or check the data folder.") from error

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
        code = _primary_code(error)
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


def _primary_code(error: sqlite3.Error) -> int:
    """SQLite's code without the bits that say where it happened."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
