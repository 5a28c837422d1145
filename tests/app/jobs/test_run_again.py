"""A job that ended without a result, and whose sender asks for it again under its Idempotency-Key."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.jobs.errors import IdempotencyConflict
from app.jobs.live import JobEvent
from app.jobs.model import Job, JobState
from engines.errors import InvalidRequest
from tests.app.jobs.small_work import Desk, HeldKind, wait_for
from tests.serving import until


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.kind.release.set()
    desk.stop()


def cancelled(desk: Desk, say: str = "first", **more: str) -> Job:
    """A job that has run for a while and was cancelled, under the key k."""
    job = desk.submit(say, idempotency_key="k", **more)
    until(lambda: desk.kind.running == [job.id])
    wait_for(desk.queue.cancel(job.id, "ann"))
    return desk.end(job)


def events(desk: Desk, job: Job, after: tuple[int, int] = (0, 0)) -> list[JobEvent]:
    async def read() -> list[JobEvent]:
        return [event async for event in desk.queue.events(job.id, job.account, after)]

    return wait_for(read())


def states(seen: list[JobEvent]) -> list[JobState]:
    return [event.job.state for event in seen if event.told is None]


def test_nothing_of_the_earlier_end_is_left(desk: Desk) -> None:
    desk.kind.release.set()
    desk.kind.fail_with = InvalidRequest("say", "no")
    failed = desk.end(desk.submit("a", idempotency_key="k"))
    desk.kind.fail_with = None
    desk.kind.release.clear()
    again = desk.submit("a", idempotency_key="k")
    assert (again.id, again.error, again.finished_at, again.work) == (failed.id, None, None, failed.work)


def test_it_waits_behind_those_that_came_meanwhile(desk: Desk) -> None:
    job = desk.submit("first", idempotency_key="k")
    until(lambda: desk.kind.running == [job.id])
    others = [desk.submit() for _ in range(2)]
    wait_for(desk.queue.cancel(job.id, "ann"))
    desk.end(job)
    desk.submit("first", idempotency_key="k")
    desk.kind.release.set()
    done = desk.end(job)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    assert desk.kind.order == [job.id, *(other.id for other in others), job.id]
    assert desk.kind.most_at_once == 1


def test_fifty_at_once_make_one_more_run(desk: Desk) -> None:
    job = cancelled(desk)
    with ThreadPoolExecutor(50) as pool:
        ids = set(pool.map(lambda _: desk.submit("first", idempotency_key="k").id, range(50)))
    desk.kind.release.set()
    assert ids == {job.id}
    assert desk.end(job).attempt == 2
    assert desk.kind.order == [job.id] * 2


def test_another_request_or_kind_is_refused_before_and_after_the_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path, kinds=(HeldKind(), HeldKind("other")))
    for _ in range(2):
        job = cancelled(desk)
        for changed in ({"say": "second"}, {"say": "first", "kind": "other"}):
            with pytest.raises(IdempotencyConflict, match=f"'k'.*{job.id}"):
                desk.submit(**changed, idempotency_key="k")
    desk.stop()


def test_it_has_the_time_that_it_is_given_now(tmp_path: Path) -> None:
    clock = [1000.0]
    desk = Desk(tmp_path, now=lambda: clock[0])
    job = desk.submit("a", idempotency_key="k", deadline_seconds=1)
    until(lambda: desk.kind.running == [job.id])
    clock[0] += 2
    desk.queue.look_after()
    assert desk.get(job).state is JobState.FAILED
    desk.submit("a", idempotency_key="k", deadline_seconds=100)
    desk.queue.look_after()
    desk.kind.release.set()
    assert desk.end(job).state is JobState.SUCCEEDED
    desk.stop()


def test_the_end_of_the_earlier_run_is_not_taken_for_that_of_the_later_one(tmp_path: Path) -> None:
    """The second thread of the device runs it again while the result of the run that was too late is being stored."""
    clock = [1000.0]
    kinds = (HeldKind(), HeldKind("other"))
    kinds[1].release.set()
    desk = Desk(tmp_path, width=2, kinds=kinds, now=lambda: clock[0])
    desk.kind.release.set()
    desk.kind.store_release.clear()
    job = desk.submit("a", idempotency_key="k", deadline_seconds=1)
    until(lambda: desk.kind.storing == [job.id])
    clock[0] += 2
    desk.queue.look_after()
    desk.kind.release.clear()
    desk.submit("a", idempotency_key="k")
    until(lambda: desk.kind.running == [job.id])
    desk.kind.store_release.set()
    # The one thread that stores is through with the earlier result when it has stored this one.
    assert desk.end(desk.submit("other", kind="other")).state is JobState.SUCCEEDED
    assert desk.get(job).state is JobState.RUNNING
    desk.kind.release.set()
    done = desk.end(job)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    assert list(desk.files.uploads.iterdir()) == []
    desk.stop()


def test_it_is_followed_to_its_new_end(desk: Desk) -> None:
    """And not to that of its earlier run, which a client would take for the end."""
    job = cancelled(desk)
    before = events(desk, job)
    desk.submit("first", idempotency_key="k")
    until(lambda: desk.get(job).progress.step >= 2)
    desk.kind.release.set()
    seen = events(desk, job)
    assert states(seen) == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]
    for missed in (before[0], before[-1]):
        assert events(desk, job, missed.id) == seen


def test_from_disk_its_last_run_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    job = cancelled(desk)
    desk.submit("first", idempotency_key="k")
    desk.kind.release.set()
    done = desk.end(job)
    desk.stop()
    desk = Desk(tmp_path)
    told = events(desk, job)
    assert states(told) == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]
    assert told[-1].job == done
    assert events(desk, job, told[-1].id) == []
    desk.stop()
