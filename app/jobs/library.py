"""The library: jobs as they are read, what was made of their results since, and how they are deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from app.concurrency import run_blocking
from app.jobs.errors import (
    EditConflict,
    FileNotFound,
    JobNotFound,
    JobUnfinished,
    NothingMade,
    StorageFailed,
    Undelivered,
)
from app.jobs.files import Files
from app.jobs.live import LiveJobs
from app.jobs.model import Edit, Job, JobFile
from app.jobs.store.database import Database
from app.jobs.store.jobs import JobRows
from app.jobs.store.library import Choices, Found, LibraryRows, Search
from engines.errors import InvalidRequest

log = logging.getLogger(__name__)

FORGET_AT_ONCE = 100
"""Old jobs deleted in one transaction: others wait for it."""


class Library:
    """All jobs of a data folder, as whoever looks for one sees them. Thread-safe. Methods that are not `async` may wait
    for the disk."""

    def __init__(
        self,
        database: Database,
        files: Files,
        rows: JobRows,
        entries: LibraryRows,
        live: LiveJobs,
        now: Callable[[], float],
    ) -> None:
        self._database = database
        self._files = files
        self._rows = rows
        self._entries = entries
        self._live = live
        self._now = now
        self._deleted = True
        """Something was, and its words are still in the index: perhaps of an earlier process, too."""
        self._merging = False
        self._on_deleted: list[Callable[[str], None]] = []

    async def find(self, job_id: str) -> Job | None:
        """A job of whichever account."""
        return self._live.get(job_id) or await run_blocking(self._read, job_id)

    def _read(self, job_id: str) -> Job | None:
        with self._database.read() as db:
            return self._rows.get(db, job_id)

    async def recent(self, account: str, kind: str, limit: int = 20, *, also: Sequence[str] = ()) -> list[Job]:
        """The account's newest succeeded jobs of a kind, and of those that are listed with it, newest first."""

        def read() -> list[Job]:
            with self._database.read() as db:
                return self._rows.recent(db, account, (kind, *also), limit)

        return await run_blocking(read)

    async def file(self, file_id: str, account: str | None) -> tuple[JobFile, Path]:
        """A result's file and where it lies. Raises FileNotFound, also when it is somebody else's than the account's.

        `account` None: for somebody who was given this one file, whosever it is.
        """
        job = await self.find(file_id.rpartition("-")[0])
        if job is not None and account in (None, job.account):
            for file in job.files:
                if file.id == file_id:
                    return file, self._files.path(file.sha256)
        raise FileNotFound(file_id)

    async def content(self, file: JobFile) -> bytes:
        """A result file's bytes. Raises FileNotFound."""
        try:
            return await run_blocking(self._files.read, file.sha256)
        except OSError as error:
            raise FileNotFound(file.id) from error

    async def edit(self, job: Job) -> Edit:
        """What was made of the job's result last."""

        def read() -> Edit:
            with self._database.read() as db:
                return self._rows.edit(db, job.id)

        return await run_blocking(read)

    def save_edit(self, job: Job, content: str | None, revision: int | None) -> Edit:
        """Keep what somebody made of the job's result, in place of what was made before; None takes that back.

        `revision`: which one they began with, None for any. Raises EditConflict, StorageFailed, and JobNotFound for a
        job that was deleted meanwhile.
        """
        with self._database.exclusive(), self._database.write() as db:
            latest = self._rows.edit(db, job.id)
            if revision not in (None, latest.revision):
                raise EditConflict(revision or 0, latest.revision)
            if self._rows.state(db, job.id) is None:
                raise JobNotFound(job.id)
            edit = self._rows.put_edit(db, job.id, content, self._now())
            self._entries.put(db, job, edit)
            return edit

    async def search(self, account: str, search: Search) -> Found:
        """One page of what the account has made. Raises InvalidRequest for a `before` that is not the account's."""

        def read() -> Found:
            with self._database.read() as db:
                before = None
                if search.before is not None:
                    before = self._rows.number_of(db, search.before, account)
                    if before is None:
                        raise InvalidRequest(
                            "before",
                            f"before is {search.before[:64]!r}, which is no job of yours; it may have been deleted. "
                            "Name one that is there, or begin again without it.",
                        )
                return self._entries.search(db, account, search, before)

        return await run_blocking(read)

    async def choices(self, account: str) -> Choices:
        """What the account's list can be narrowed to."""

        def read() -> Choices:
            with self._database.read() as db:
                return self._entries.choices(db, account)

        return await run_blocking(read)

    async def is_favourite(self, job: Job) -> bool:
        """Whether somebody marked it."""

        def read() -> bool:
            with self._database.read() as db:
                return self._entries.is_marked(db, job.number)

        return await run_blocking(read)

    def mark(self, job: Job, *, favourite: bool) -> None:
        """Raises NothingMade, StorageFailed."""
        with self._database.write() as db:
            if not self._entries.mark(db, job.id, favourite=favourite):
                raise NothingMade(job.id, job.state.value)

    def delete(self, job_id: str, account: str) -> None:
        """Delete a job that has ended, with its files, its history and its words; what was delivered of it stays there.

        Raises JobNotFound, also when it is somebody else's, JobUnfinished, Undelivered, StorageFailed.
        """
        with self._database.exclusive():
            with self._database.write() as db:
                state = self._rows.state(db, job_id)
                if state is None or self._rows.number_of(db, job_id, account) is None:
                    raise JobNotFound(job_id)
                if not state[0].final:
                    raise JobUnfinished(job_id, state[0].value)
                if self._rows.is_undelivered(db, job_id):
                    raise Undelivered(job_id)
                gone = self._rows.delete(db, job_id)
            self._files.delete(gone)
            self._live.forget([job_id])
            self._deleted = True
        for told in self._on_deleted:
            told(job_id)

    def on_deleted(self, told: Callable[[str], None]) -> None:
        """Call `told` with the id of each job that is deleted from now on: for who keeps copies of its files."""
        self._on_deleted.append(told)

    def merge_words(self) -> None:
        """Take the words of what was deleted out of the index, a part at a time."""
        begin, self._deleted = self._deleted, False
        if not (begin or self._merging):
            return
        try:
            with self._database.write(durable=False) as db:
                self._merging = self._entries.merge(db, begin=begin)
        except StorageFailed as problem:
            self._deleted = True
            log.error("the words of deleted jobs could not be taken out of the index yet: %s", problem)

    def prune(self, older_than_seconds: float) -> int:
        """Delete final jobs and their files that ended longer ago than this; how many. Raises StorageFailed."""
        deleted = 0
        while True:
            with self._database.exclusive():
                with self._database.write() as db:
                    ids, gone = self._rows.forget(db, self._now() - older_than_seconds, FORGET_AT_ONCE)
                self._files.delete(gone)
                self._live.forget(ids)
            for job_id in ids:
                for told in self._on_deleted:
                    told(job_id)
            deleted += len(ids)
            self._deleted = self._deleted or bool(ids)
            if len(ids) < FORGET_AT_ONCE:
                return deleted
