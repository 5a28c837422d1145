"""What is to be delivered of a job is on disk as soon as its end is, and not before."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.jobs.model import MAX_ATTEMPTS, Job, JobState
from engines.errors import OutOfMemory
from tests.app.jobs.small_work import Desk, wait_for
from tests.serving import until


class Post:
    """A deliverer that wants every end, unless told not to."""

    name = "post"

    def __init__(self) -> None:
        self.fail = False

    def wants(self, job: Job) -> bool:
        if self.fail:
            # As a full disk would: in the middle of the transaction.
            raise sqlite3.OperationalError("database or disk is full")
        return job.account != "silent"


def entries(folder: Path) -> list[tuple[str, str, int]]:
    db = sqlite3.connect(folder / "jobs.db")
    rows = db.execute("SELECT deliverer, job_id, attempt FROM outbox ORDER BY id").fetchall()
    db.close()
    return rows


def test_every_kind_of_end_is_to_be_delivered_once(tmp_path: Path) -> None:
    clock = [1000.0]
    desk = Desk(tmp_path, deliverers=(Post(),), now=lambda: clock[0])
    late = desk.submit(deadline_seconds=5)
    until(lambda: desk.kind.running)
    cancelled, silent = desk.submit(), desk.submit(account="silent")
    assert entries(tmp_path) == []
    clock[0] += 6
    desk.queue.look_after()
    wait_for(desk.queue.cancel(cancelled.id, "ann"))
    desk.kind.release.set()
    desk.end(silent)
    desk.kind.fail_with = OutOfMemory("The memory did not suffice.")
    failed = desk.end(desk.submit())
    desk.kind.fail_with = None
    good = desk.end(desk.submit())
    assert entries(tmp_path) == [
        ("post", late.id, 1),
        ("post", cancelled.id, 0),
        ("post", failed.id, 1),
        ("post", good.id, 1),
    ]
    desk.stop()


def test_a_job_that_is_given_up_is_to_be_delivered(tmp_path: Path) -> None:
    desk = Desk(tmp_path, deliverers=(Post(),))
    job = desk.submit()
    for _ in range(MAX_ATTEMPTS):
        until(lambda desk=desk: desk.kind.running == [job.id])  # type: ignore[misc]
        assert entries(tmp_path) == []
        desk.crash()
        desk = Desk(tmp_path, deliverers=(Post(),))
    assert desk.get(job).state is JobState.FAILED
    assert entries(tmp_path) == [("post", job.id, MAX_ATTEMPTS)]
    desk.stop()


def test_a_stop_delivers_nothing_and_keeps_what_is_to_be_delivered(tmp_path: Path) -> None:
    desk = Desk(tmp_path, deliverers=(Post(),))
    cancelled, running = desk.submit(), desk.submit()
    until(lambda: desk.kind.running == [cancelled.id])
    wait_for(desk.queue.cancel(cancelled.id, "ann"))
    until(lambda: desk.kind.running == [running.id])
    desk.stop()
    again = Desk(tmp_path, deliverers=(Post(),), work=False)
    assert entries(tmp_path) == [("post", cancelled.id, 1)]
    again.stop()


def test_each_run_that_ends_is_to_be_delivered(tmp_path: Path) -> None:
    desk = Desk(tmp_path, deliverers=(Post(),))
    desk.kind.release.set()
    desk.kind.fail_with = OutOfMemory("The memory did not suffice.")
    job = desk.end(desk.submit(idempotency_key="k"))
    desk.kind.fail_with = None
    desk.submit(idempotency_key="k")
    desk.end(job)
    assert entries(tmp_path) == [("post", job.id, 1), ("post", job.id, 2)]
    desk.stop()


def test_a_job_that_is_still_to_be_delivered_is_not_forgotten(tmp_path: Path) -> None:
    desk = Desk(tmp_path, deliverers=(Post(),))
    desk.kind.release.set()
    job = desk.end(desk.submit())
    desk.end(desk.submit(account="silent"))
    assert desk.queue.prune(-1) == 1
    assert desk.get(job).state is JobState.SUCCEEDED
    desk.stop()


def test_neither_the_end_nor_its_delivery_is_there_without_the_other(tmp_path: Path) -> None:
    post = Post()
    desk = Desk(tmp_path, deliverers=(post,))
    job = desk.submit()
    until(lambda: desk.kind.running)
    post.fail = True
    desk.kind.release.set()
    until(lambda: desk.queue._states._unsaved)
    assert desk.get(job).state is JobState.RUNNING
    assert entries(tmp_path) == []
    post.fail = False
    desk.queue.look_after()
    ended = desk.end(job)
    assert ended.error is not None
    assert (ended.state, ended.error.type) == (JobState.FAILED, "storage_failed")
    assert entries(tmp_path) == [("post", job.id, 1)]
    desk.stop()


@pytest.mark.parametrize("fails", [True, False])
def test_a_job_that_ended_unseen_is_found_again_after_a_crash(tmp_path: Path, fails: bool) -> None:
    """The process dies before the end could be stored: the job runs again, and is delivered once."""
    post = Post()
    desk = Desk(tmp_path, deliverers=(post,))
    job = desk.submit()
    until(lambda: desk.kind.running)
    post.fail = fails
    if fails:
        desk.kind.release.set()
        until(lambda: desk.queue._states._unsaved)
    desk.crash()
    again = Desk(tmp_path, deliverers=(Post(),))
    again.kind.release.set()
    assert again.end(job).state is JobState.SUCCEEDED
    assert entries(tmp_path) == [("post", job.id, 2)]
    again.stop()
