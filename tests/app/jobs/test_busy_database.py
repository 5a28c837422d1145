"""Another program, a backup perhaps, holds the database for longer than we wait: who waits is told, nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.jobs.errors import StorageFailed
from app.jobs.files import Files
from app.jobs.model import JobState
from app.jobs.store.database import Database
from app.jobs.store.folder import held
from tests.app.jobs.small_work import Desk, Done, wait_for
from tests.app.jobs.test_outbox import Post, entries, refuse_entries
from tests.serving import until


class ImpatientDesk(Desk):
    """Waits for other programs for a moment only."""

    def open(self, folder: Path) -> tuple[Database, Files]:
        self.opened.enter_context(held(folder))
        database = Database(folder, may_begin=True, busy_seconds=0.05)
        self.opened.callback(database.close)
        return database, Files(folder)


@contextmanager
def busy(folder: Path) -> Iterator[None]:
    db = sqlite3.connect(folder / "jobs.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.close()


def test_work_that_cannot_be_acknowledged_is_refused(tmp_path: Path) -> None:
    desk = ImpatientDesk(tmp_path)
    with busy(tmp_path), pytest.raises(StorageFailed, match="Another program holds it; try again") as refused:
        desk.submit(idempotency_key="k")
    assert refused.value.retry_after
    desk.kind.release.set()
    assert desk.end(desk.submit(idempotency_key="k")).state is JobState.SUCCEEDED
    desk.stop()


def test_a_result_waits_until_the_database_is_free(tmp_path: Path) -> None:
    """And it is the job's end, although its deadline has passed by then."""
    clock = [1000.0]
    desk = ImpatientDesk(tmp_path, deliverers=(Post(),), now=lambda: clock[0])
    job = desk.submit("hello", deadline_seconds=60)
    until(lambda: desk.kind.running == [job.id])
    with busy(tmp_path):
        desk.kind.release.set()
        with pytest.raises(StorageFailed, match="Another program holds it"):
            desk.end(job)
        clock[0] += 61
        desk.queue.look_after()
        assert desk.get(job).state is JobState.RUNNING
    with ThreadPoolExecutor() as pool:
        for looked in [pool.submit(desk.queue.look_after) for _ in range(4)]:
            looked.result()
    done = desk.get(job)
    assert isinstance(done.result, Done)
    assert (done.state, done.result.said) == (JobState.SUCCEEDED, "hello")
    assert wait_for(desk.queue.library.content(done.files[0])) == b"hello"
    assert desk.files.path(done.files[0].sha256).read_bytes() == b"hello"
    assert list(desk.files.uploads.iterdir()) == []
    assert entries(tmp_path) == [("post", job.id, 1)]
    desk.stop()


def test_a_result_that_the_disk_does_not_take_afterwards_fails_its_job(tmp_path: Path) -> None:
    desk = ImpatientDesk(tmp_path, deliverers=(Post(),))
    job = desk.submit("hello")
    until(lambda: desk.kind.running == [job.id])
    with busy(tmp_path):
        desk.kind.release.set()
        with pytest.raises(StorageFailed):
            desk.end(job)
    refuse_entries(tmp_path, True)
    desk.queue.look_after()
    refuse_entries(tmp_path, False)
    desk.queue.look_after()
    ended = desk.get(job)
    assert ended.error is not None
    assert (ended.state, ended.error.type) == (JobState.FAILED, "storage_failed")
    assert [path for name in ("uploads", "files") for path in (tmp_path / name).rglob("*") if path.is_file()] == []
    desk.stop()


def test_a_job_that_ends_while_two_look_after_it_is_ended_once(tmp_path: Path) -> None:
    desk = ImpatientDesk(tmp_path, deliverers=(Post(),))
    jobs = [desk.submit() for _ in range(3)]
    until(lambda: desk.kind.running)
    with busy(tmp_path):
        for job in jobs[1:]:
            wait_for(desk.queue.cancel(job.id, "ann"))
        assert {desk.get(job).state for job in jobs[1:]} == {JobState.QUEUED}
    # While both have to wait for their turn.
    with ThreadPoolExecutor(8) as pool, desk.database.exclusive():
        looks = [pool.submit(desk.queue.look_after) for _ in range(8)]
        until(lambda: all(look.running() for look in looks))
    for look in looks:
        look.result()
    assert {desk.get(job).state for job in jobs[1:]} == {JobState.CANCELLED}
    assert sorted(entries(tmp_path)) == sorted(("post", job.id, 0) for job in jobs[1:])
    desk.kind.release.set()
    assert desk.end(jobs[0]).state is JobState.SUCCEEDED
    desk.stop()
