"""What is to be delivered of a job is on disk as soon as its end is, and not before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.jobs.model import MAX_ATTEMPTS, Job, JobState
from app.jobs.store.migrations import MIGRATIONS
from engines.errors import OutOfMemory
from tests.app.jobs.small_work import Desk, wait_for
from tests.serving import until


class Post:
    """A deliverer that wants every end, or the states that it is made for; `broken` makes it raise."""

    name = "post"

    def __init__(self, *states: JobState, broken: bool = False) -> None:
        self.states = states or tuple(state for state in JobState if state.final)
        self.broken = broken

    def wants(self, job: Job) -> bool:
        if self.broken:
            raise LookupError(job.id)
        return job.state in self.states and job.account != "silent"

    def order_key(self, job: Job) -> str:
        return job.user or job.id

    def deliver(self, job: Job, message_id: str) -> None:
        raise AssertionError("nothing is sent here")


def refuse_entries(folder: Path, refuse: bool) -> None:
    """Have the database fail in the middle of a transaction that adds an entry, as on a full disk; or stop that."""
    with closing(sqlite3.connect(folder / "jobs.db")) as db:
        if refuse:
            db.execute(
                "CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
        else:
            db.execute("DROP TRIGGER full")


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
    assert desk.queue.library.prune(-1) == 1
    assert desk.get(job).state is JobState.SUCCEEDED
    desk.stop()


def test_neither_the_end_nor_its_delivery_is_there_without_the_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path, deliverers=(Post(),))
    job = desk.submit()
    until(lambda: desk.kind.running)
    refuse_entries(tmp_path, True)
    desk.kind.release.set()
    until(lambda: desk.queue._states._unsaved)
    assert desk.get(job).state is JobState.RUNNING
    assert entries(tmp_path) == []
    refuse_entries(tmp_path, False)
    desk.queue.look_after()
    ended = desk.end(job)
    assert ended.error is not None
    assert (ended.state, ended.error.type) == (JobState.FAILED, "storage_failed")
    assert entries(tmp_path) == [("post", job.id, 1)]
    desk.stop()


@pytest.mark.parametrize("fails", [True, False])
def test_a_job_that_ended_unseen_is_found_again_after_a_crash(tmp_path: Path, fails: bool) -> None:
    """The process dies before the end could be stored: the job runs again, and is delivered once."""
    desk = Desk(tmp_path, deliverers=(Post(),))
    job = desk.submit()
    until(lambda: desk.kind.running)
    if fails:
        refuse_entries(tmp_path, True)
        desk.kind.release.set()
        until(lambda: desk.queue._states._unsaved)
    desk.crash()
    if fails:
        refuse_entries(tmp_path, False)
    again = Desk(tmp_path, deliverers=(Post(),))
    again.kind.release.set()
    assert again.end(job).state is JobState.SUCCEEDED
    assert entries(tmp_path) == [("post", job.id, 2)]
    again.stop()


def test_what_version_1_had_to_deliver_is_still_to_be_delivered(tmp_path: Path) -> None:
    Desk(tmp_path, work=False).stop()
    (tmp_path / "jobs.db").unlink()
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as db:
        MIGRATIONS[0](db, tmp_path)
        db.execute("PRAGMA user_version = 1")
        for job_id, state, at in (("a", "succeeded", 2.0), ("b", "queued", None)):
            db.execute(
                "INSERT INTO jobs (id, kind, device, account, state, request, work, created_at, finished_at, attempt)"
                " VALUES (?, 'held', 'bench', 'ann', ?, '{}', '{\"say\": \"x\", \"drawn\": 1}', 1, ?, 1)",
                (job_id, state, at),
            )
            db.execute("INSERT INTO outbox (deliverer, job_id, attempt, due_at) VALUES ('post', ?, 1, 3)", (job_id,))
    desk = Desk(tmp_path, deliverers=(Post(),), work=False)
    due = desk.queue.outbox.due("post", 10)
    assert [(entry.job_id, entry.attempt, entry.waiting_since) for entry in due] == [("a", 1, 3), ("b", 1, 3)]
    job = desk.queue.outbox.job(due[0])
    assert (job.state, job.finished_at, job.webhook) == (JobState.SUCCEEDED, 2, None)
    desk.stop()


def test_a_deliverer_may_want_every_state_and_each_is_told_as_it_was(tmp_path: Path) -> None:
    desk = Desk(tmp_path, deliverers=(Post(*JobState),), now=lambda: 1000.0)
    job = desk.submit(user="post-1", idempotency_key="k")
    until(lambda: desk.kind.running)
    desk.kind.fail_with = OutOfMemory("The memory did not suffice.")
    desk.kind.release.set()
    desk.end(job)
    desk.kind.fail_with = None
    desk.submit(user="post-1", idempotency_key="k")
    done = desk.end(job)
    told = []
    while due := desk.queue.outbox.due("post", 10):
        # One at a time, because all of them are of one key.
        assert len(due) == 1
        told.append(desk.queue.outbox.job(due[0]))
        desk.queue.outbox.delivered(due[0])
    states = [(job.state.value, job.attempt, job.error is None, job.result is None) for job in told]
    assert states == [
        ("queued", 0, True, True),
        ("running", 1, True, True),
        ("failed", 1, False, True),
        ("queued", 1, True, True),
        ("running", 2, True, True),
        ("succeeded", 2, True, False),
    ]
    assert told[-1] == done
    desk.stop()


def test_a_stop_and_the_next_start_tell_that_the_job_waits_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, deliverers=(Post(JobState.QUEUED, JobState.RUNNING),))
    job = desk.submit()
    until(lambda: desk.kind.running)
    desk.stop()
    again = Desk(tmp_path, deliverers=(Post(JobState.QUEUED, JobState.RUNNING),), work=False)
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db:
        told = db.execute("SELECT state FROM outbox WHERE job_id = ? ORDER BY id", (job.id,)).fetchall()
    assert [state for (state,) in told] == ["queued", "running", "queued", "queued"]
    again.stop()


def test_a_deliverer_that_cannot_tell_costs_neither_the_end_nor_the_delivery(tmp_path: Path) -> None:
    desk = Desk(tmp_path, deliverers=(Post(broken=True), Post()))
    desk.kind.release.set()
    job = desk.end(desk.submit())
    assert job.state is JobState.SUCCEEDED
    entries = desk.queue.outbox.due("post", 10)
    # One for each state of the first deliverer, which is asked again when it is due; the second knew.
    assert [entry.unsure for entry in entries] == [True]
    for _ in range(3):
        desk.queue.outbox.delivered(desk.queue.outbox.due("post", 10)[0])
    assert [entry.unsure for entry in desk.queue.outbox.due("post", 10)] == [False]
    desk.stop()
