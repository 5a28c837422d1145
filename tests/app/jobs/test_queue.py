"""Jobs as callers live them: order, turns, cancel, watching, keys, restarts, deadlines."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.jobs.errors import Draining, FileNotFound, IdempotencyConflict, Interrupted, JobNotFound, QueueFull
from app.jobs.library import FORGET_AT_ONCE
from app.jobs.live import JobEvent
from app.jobs.model import MAX_ATTEMPTS, Job, JobFailed, JobState, Priority
from app.jobs.worker import MADE_AT_ONCE, WorkerState
from engines.errors import InvalidRequest, ModelMissing
from engines.events import OnProgress, Progress
from tests.app.jobs.small_work import Desk, Done, HeldKind, wait_for
from tests.serving import until


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.kind.store_release.set()
    desk.kind.release.set()
    desk.stop()


def result(job: Job) -> Done:
    assert isinstance(job.result, Done)
    return job.result


async def _events(desk: Desk, job: Job, after: tuple[int, int] = (0, 0)) -> list[JobEvent]:
    return [event async for event in desk.queue.events(job.id, job.account, after)]


# -- a job and its result


def test_a_job_is_known_at_once_and_its_result_can_be_read_again(desk: Desk) -> None:
    job = desk.submit("hello")
    assert desk.get(job).request.model_dump()["say"] == "hello"
    desk.kind.release.set()
    done = desk.end(job)
    assert (done.state, done.attempt, result(done).said) == (JobState.SUCCEEDED, 1, "hello")
    for _ in range(2):
        file, path = wait_for(desk.queue.library.file(result(done).file, "ann"))
        assert (file.media_type, path.read_bytes(), wait_for(desk.queue.library.content(file))) == (
            "text/plain",
            b"hello",
            b"hello",
        )


def test_nobody_else_sees_a_job_or_its_files(desk: Desk) -> None:
    job = desk.submit()
    desk.kind.release.set()
    done = desk.end(job)
    with pytest.raises(JobNotFound):
        desk.get(job, "bob")
    with pytest.raises(JobNotFound):
        wait_for(desk.queue.cancel(job.id, "bob"))
    with pytest.raises(FileNotFound):
        wait_for(desk.queue.library.file(result(done).file, "bob"))
    assert wait_for(desk.queue.library.recent("bob", "held")) == []


@pytest.mark.parametrize("file_id", ["", "-", "../../etc/passwd-0", "0" * 20 + "-0", "x-\x00"])
def test_a_made_up_file_id_finds_nothing(desk: Desk, file_id: str) -> None:
    with pytest.raises(FileNotFound):
        wait_for(desk.queue.library.file(file_id, "ann"))


def test_errors_are_kept_as_errors_and_never_as_results(desk: Desk) -> None:
    desk.kind.release.set()
    desk.kind.fail_with = InvalidRequest("steps", "steps is -1: send 1 to 150.")
    failed = desk.end(desk.submit())
    assert failed.error is not None
    assert (failed.state, failed.result, failed.error.type, failed.error.field) == (
        JobState.FAILED,
        None,
        "invalid_request",
        "steps",
    )
    with pytest.raises(JobFailed, match="steps is -1"):
        failed.succeeded()
    desk.kind.fail_with = ZeroDivisionError("secret detail")
    broken = desk.end(desk.submit())
    assert broken.error is not None
    assert broken.error.type == "internal"
    assert "secret" not in broken.error.message
    assert broken.files == ()
    desk.kind.fail_with = None
    assert desk.end(desk.submit()).state is JobState.SUCCEEDED


def test_a_model_that_cannot_be_loaded_fails_its_jobs_with_the_reason(tmp_path: Path) -> None:
    def load(_: OnProgress) -> None:
        raise ModelMissing("sdxl is not here. Get it: python3 launch.py models pull sdxl")

    desk = Desk(tmp_path, load=load)
    done = desk.end(desk.submit())
    assert done.error is not None
    assert (done.state, done.error.type, done.error.status) == (JobState.FAILED, "model_missing", 503)
    assert desk.worker.status.state is WorkerState.FAILED
    assert "models pull" in desk.worker.status.problem
    desk.stop()


def test_jobs_wait_while_the_model_loads_and_the_loading_is_told(tmp_path: Path) -> None:
    loaded = threading.Event()

    def load(on_progress: OnProgress) -> None:
        on_progress(Progress("download", 1, 4, 0.25))
        loaded.wait(20)

    desk = Desk(tmp_path, load=load)
    job = desk.submit()
    until(lambda: desk.worker.status.loading == Progress("download", 1, 4, 0.25))
    status = desk.worker.status
    assert (status.state, status.waiting, status.running) == (WorkerState.LOADING, 1, 0)
    loaded.set()
    desk.kind.release.set()
    assert desk.end(job).state is JobState.SUCCEEDED
    assert (desk.worker.status.state, desk.worker.status.loading) == (WorkerState.READY, None)
    desk.stop()


def test_what_a_kind_refuses_is_no_job(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="say is empty"):
        desk.submit("", idempotency_key="k")
    assert desk.queue.idle
    assert desk.submit("words", idempotency_key="k").state is JobState.QUEUED


def test_of_a_job_that_breaks_while_it_is_stored_no_file_is_left(desk: Desk, tmp_path: Path) -> None:
    desk.kind.release.set()
    desk.kind.fail_storing_with = ZeroDivisionError("secret detail")
    broken = desk.end(desk.submit())
    assert broken.error is not None
    assert (broken.error.type, broken.files) == ("internal", ())
    until(lambda: not list(desk.files.uploads.iterdir()))
    assert contents(tmp_path) == []
    desk.kind.fail_storing_with = None
    assert desk.end(desk.submit()).state is JobState.SUCCEEDED


# -- order


def test_as_many_at_once_as_the_device_is_wide(tmp_path: Path) -> None:
    desk = Desk(tmp_path, width=2)
    jobs = [desk.submit() for _ in range(3)]
    until(lambda: len(desk.kind.running) == 2)
    desk.kind.release.set()
    assert all(desk.end(job).state is JobState.SUCCEEDED for job in jobs)
    assert desk.kind.most_at_once == 2
    desk.stop()


def test_nobody_saves_turns_up(desk: Desk) -> None:
    """One who comes late goes next, and not as often as the others have had their turns."""
    ann = [desk.submit(user="ann") for _ in range(4)]
    until(lambda: desk.kind.running == [ann[0].id])
    wait_for(desk.queue.cancel(ann[0].id, "ann"))
    until(lambda: desk.kind.running == [ann[1].id])
    late = [desk.submit(user="late") for _ in range(3)]
    desk.kind.release.set()
    for job in (*ann, *late):
        desk.end(job)
    expected = [ann[0], ann[1], late[0], ann[2], late[1], ann[3], late[2]]
    assert desk.kind.order == [job.id for job in expected]


def test_one_at_a_time_and_in_order(desk: Desk) -> None:
    first, second, third = (desk.submit() for _ in range(3))
    until(lambda: desk.kind.running == [first.id])
    assert [desk.get(job).progress.ahead for job in (second, third)] == [1, 2]
    desk.kind.release.set()
    assert all(desk.end(job).state is JobState.SUCCEEDED for job in (first, second, third))
    assert desk.kind.order == [first.id, second.id, third.id]
    assert desk.kind.most_at_once == 1


@pytest.mark.parametrize("who", [{"user": "bob"}, {"account": "bob"}])
def test_who_has_nothing_in_the_queue_goes_before_anothers_second_job(desk: Desk, who: dict[str, Any]) -> None:
    mine = [desk.submit(user="ann") for _ in range(1)]
    until(lambda: desk.kind.running == [mine[0].id])
    mine += [desk.submit(user="ann") for _ in range(4)]
    other = [desk.submit(**who) for _ in range(2)]
    desk.kind.release.set()
    for job in (*mine, *other):
        desk.end(job)
    expected = [mine[0], other[0], mine[1], other[1], *mine[2:]]
    assert desk.kind.order == [job.id for job in expected]


def test_interactive_work_goes_before_batch_work(desk: Desk) -> None:
    running = desk.submit()
    until(lambda: desk.kind.running)
    batch = [desk.submit(priority=Priority.BATCH) for _ in range(2)]
    quick = desk.submit()
    assert [desk.get(job).progress.ahead for job in (*batch, quick)] == [2, 3, 1]
    desk.kind.release.set()
    for job in (running, quick, *batch):
        desk.end(job)
    assert desk.kind.order == [running.id, quick.id, *(job.id for job in batch)]


def test_a_full_queue_refuses_and_forgets(tmp_path: Path) -> None:
    desk = Desk(tmp_path, capacity=3)
    jobs = [desk.submit() for _ in range(3)]
    with pytest.raises(QueueFull, match="bench jobs are waiting already"):
        desk.submit(idempotency_key="later")
    wait_for(desk.queue.cancel(jobs[2].id, "ann"))
    assert desk.submit(idempotency_key="later").state is JobState.QUEUED
    desk.stop()


# -- the device and the store


def test_the_device_goes_on_while_a_result_is_stored(desk: Desk) -> None:
    desk.kind.release.set()
    desk.kind.store_release.clear()
    first, second = desk.submit(), desk.submit()
    until(lambda: desk.kind.order == [first.id, second.id])
    until(lambda: desk.kind.storing == [first.id])
    assert desk.get(first).state is JobState.RUNNING
    desk.kind.store_release.set()
    assert desk.end(first).state is desk.end(second).state is JobState.SUCCEEDED


def test_only_so_many_results_wait_to_be_stored(desk: Desk) -> None:
    desk.kind.release.set()
    desk.kind.store_release.clear()
    jobs = [desk.submit() for _ in range(MADE_AT_ONCE + 3)]
    until(lambda: len(desk.kind.order) == MADE_AT_ONCE + 1)
    assert not until_or_not(lambda: len(desk.kind.order) > MADE_AT_ONCE + 1)
    desk.kind.store_release.set()
    assert all(desk.end(job).state is JobState.SUCCEEDED for job in jobs)


def until_or_not(condition: Any) -> bool:
    """Whether it happens within a moment."""
    with suppress(AssertionError):
        until(condition, 0.2)
        return True
    return False


# -- cancel


def test_a_cancelled_job_never_overlaps_the_next(desk: Desk) -> None:
    first, second = desk.submit(), desk.submit()
    until(lambda: desk.kind.running == [first.id])
    wait_for(desk.queue.cancel(first.id, "ann"))
    assert desk.end(first).state is JobState.CANCELLED
    until(lambda: desk.kind.running == [second.id])
    assert desk.kind.most_at_once == 1


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(desk: Desk) -> None:
    first, second = desk.submit(), desk.submit()
    until(lambda: desk.kind.running == [first.id])
    assert wait_for(desk.queue.cancel(second.id, "ann")).state is JobState.CANCELLED
    desk.kind.release.set()
    desk.end(first)
    assert desk.kind.order == [first.id]


def test_a_job_is_cancelled_while_its_result_is_stored(desk: Desk, tmp_path: Path) -> None:
    desk.kind.release.set()
    desk.kind.store_release.clear()
    job = desk.submit()
    until(lambda: desk.kind.storing == [job.id])
    wait_for(desk.queue.cancel(job.id, "ann"))
    desk.kind.store_release.set()
    assert desk.end(job).state is JobState.CANCELLED
    assert contents(tmp_path) == []


def test_cancelling_a_finished_job_leaves_it_as_it_is(desk: Desk) -> None:
    desk.kind.release.set()
    done = desk.end(desk.submit())
    assert wait_for(desk.queue.cancel(done.id, "ann")).state is JobState.SUCCEEDED


# -- Idempotency-Key


def test_a_repeated_key_returns_the_first_job_while_it_runs_and_afterwards(desk: Desk) -> None:
    first = desk.submit("a", idempotency_key="k")
    assert desk.submit("a", idempotency_key="k").id == first.id
    desk.kind.release.set()
    desk.end(first)
    again = desk.submit("a", idempotency_key="k")
    assert (again.id, again.state) == (first.id, JobState.SUCCEEDED)
    assert desk.submit("a", idempotency_key="k", account="bob").id != first.id


def test_after_a_job_failed_the_key_runs_it_again_with_what_was_drawn(desk: Desk) -> None:
    desk.kind.release.set()
    desk.kind.fail_with = InvalidRequest("say", "no")
    first = desk.end(desk.submit("a", idempotency_key="k"))
    assert (first.state, first.attempt) == (JobState.FAILED, 1)
    desk.kind.fail_with = None
    again = desk.end(desk.submit("a", idempotency_key="k"))
    assert (again.id, again.state, again.attempt) == (first.id, JobState.SUCCEEDED, 2)
    assert result(again).drawn == first.work.model_dump()["drawn"]


def test_a_key_used_for_another_request_is_refused(desk: Desk) -> None:
    first = desk.submit("a", idempotency_key="k")
    with pytest.raises(IdempotencyConflict, match=f"'k'.*{first.id}"):
        desk.submit("b", idempotency_key="k")


def test_fifty_repeats_at_once_make_one_run(desk: Desk) -> None:
    with ThreadPoolExecutor(50) as pool:
        jobs = list(pool.map(lambda _: desk.submit("a", idempotency_key="k"), range(50)))
    desk.kind.release.set()
    desk.end(jobs[0])
    assert len({job.id for job in jobs}) == len(desk.kind.order) == 1


# -- watching


def test_watching_shows_progress_and_ends_with_the_final_state(desk: Desk) -> None:
    async def watch(job: Job) -> list[Job]:
        seen = []
        async for snapshot in desk.queue.watch(job.id, "ann"):
            seen.append(snapshot)
            if snapshot.progress.step >= 3:
                desk.kind.release.set()
        return seen

    seen = wait_for(watch(desk.submit()))
    fractions = [job.progress.fraction for job in seen]
    assert fractions == sorted(fractions)
    assert any(job.progress.eta_seconds for job in seen)
    assert [job.final for job in seen] == [False] * (len(seen) - 1) + [True]


def test_events_have_growing_ids_and_go_on_after_any_of_them(desk: Desk) -> None:
    running, job = desk.submit(), desk.submit()
    until(lambda: desk.kind.running == [running.id])
    desk.kind.release.set()
    desk.end(job)
    events = wait_for(_events(desk, job))
    assert [event.id for event in events] == sorted({event.id for event in events})
    assert (events[0].job.state, events[0].job.progress.ahead) == (JobState.QUEUED, 1)
    assert events[-1].job.state is JobState.SUCCEEDED
    for number, event in enumerate(events):
        assert wait_for(_events(desk, job, event.id)) == events[number + 1 :]


def test_an_id_from_the_future_ends_with_the_job(desk: Desk) -> None:
    job = desk.submit()
    desk.kind.release.set()
    assert wait_for(_events(desk, job, (10**9, 0))) == []
    assert wait_for(_events(desk, job, (10**9, 0))) == []


def test_the_wait_is_foretold_once_a_job_has_been_timed(desk: Desk) -> None:
    running = desk.submit()
    assert desk.get(desk.submit()).progress.eta_seconds is None
    until(lambda: desk.get(running).progress.step > 1)
    desk.kind.release.set()
    until(lambda: desk.queue.idle)
    desk.kind.release.clear()
    desk.submit()
    until(lambda: desk.kind.running)
    progress = desk.submit().progress
    assert progress.ahead == 1
    assert progress.eta_seconds is not None
    assert progress.eta_seconds > 0


def test_a_watcher_that_goes_away_leaves_the_job_running(desk: Desk) -> None:
    async def leave(job: Job) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(desk.queue.finished(job.id, "ann"), 0.05)

    job = desk.submit()
    asyncio.run(leave(job))
    desk.kind.release.set()
    assert desk.end(job).state is JobState.SUCCEEDED


# -- stops and restarts


def test_draining_finishes_what_was_acknowledged_and_takes_nothing_new(desk: Desk) -> None:
    first, second = desk.submit(), desk.submit()
    desk.queue.drain()
    with pytest.raises(Draining):
        desk.submit()
    desk.kind.release.set()
    assert desk.end(first).state is desk.end(second).state is JobState.SUCCEEDED
    until(lambda: desk.queue.idle)


def test_a_stop_keeps_its_jobs_and_tells_who_waits(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    running, waiting = desk.submit("a"), desk.submit("b")
    until(lambda: desk.kind.running)

    async def wait_through_the_stop() -> None:
        waits = [asyncio.ensure_future(desk.queue.finished(job.id, "ann")) for job in (running, waiting)]
        await asyncio.sleep(0.05)
        await asyncio.to_thread(desk.stop)
        for wait in waits:
            with pytest.raises(Interrupted, match="goes on after the next start"):
                await wait

    wait_for(wait_through_the_stop())
    again = Desk(tmp_path)
    again.kind.release.set()
    for before in (running, waiting):
        done = again.end(before)
        assert (done.state, result(done).drawn) == (JobState.SUCCEEDED, before.work.model_dump()["drawn"])
    assert again.get(running).attempt == 2
    again.stop()


@pytest.mark.parametrize("stops", [MAX_ATTEMPTS + 2])
def test_stops_never_use_a_job_up(tmp_path: Path, stops: int) -> None:
    desk = Desk(tmp_path)
    job = desk.submit()
    for _ in range(stops):
        until(lambda desk=desk: desk.kind.running)  # type: ignore[misc]
        desk.stop()
        desk = Desk(tmp_path)
    desk.kind.release.set()
    assert desk.end(job).state is JobState.SUCCEEDED
    desk.stop()


def test_a_job_that_ends_its_process_three_times_is_given_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    job, other = desk.submit(), desk.submit()
    for _ in range(MAX_ATTEMPTS):
        until(lambda desk=desk: desk.kind.running == [job.id])  # type: ignore[misc]
        desk.crash()
        desk = Desk(tmp_path)
    given_up = desk.get(job)
    assert given_up.error is not None
    assert (given_up.state, given_up.error.type, given_up.attempt) == (JobState.FAILED, "interrupted", MAX_ATTEMPTS)
    assert "3 times" in given_up.error.message
    desk.kind.release.set()
    assert desk.end(other).state is JobState.SUCCEEDED
    desk.stop()


def test_events_go_on_over_a_restart(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    job = desk.submit()
    until(lambda: desk.get(job).progress.step > 2)
    seen = desk.queue._live._unfinished[job.id].events
    desk.crash()
    again = Desk(tmp_path)
    again.kind.release.set()
    again.end(job)
    later = wait_for(_events(again, job, seen[-1].id))
    assert all(event.id > seen[-1].id for event in later)
    assert [event.job.state for event in later if event.told is None] == [
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.SUCCEEDED,
    ]
    again.stop()
    third = Desk(tmp_path)
    from_disk = wait_for(_events(third, job))
    assert [event.job.state for event in from_disk] == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]
    assert result(from_disk[-1].job).said == "x"
    third.stop()


# -- deadlines, old jobs, accounts


def test_a_deadline_ends_what_waits_and_what_runs(tmp_path: Path) -> None:
    clock = [1000.0]
    desk = Desk(tmp_path, now=lambda: clock[0])
    running, waiting = desk.submit(deadline_seconds=60), desk.submit(deadline_seconds=60)
    patient = desk.submit()
    until(lambda: desk.kind.running)
    desk.queue.look_after()
    assert desk.get(waiting).state is JobState.QUEUED
    clock[0] += 61
    desk.queue.look_after()
    for job in (running, waiting):
        done = desk.end(job)
        assert done.error is not None
        assert (done.state, done.error.type) == (JobState.FAILED, "deadline_exceeded")
    until(lambda: desk.kind.running == [patient.id])
    assert desk.kind.most_at_once == 1
    desk.stop()


def contents(folder: Path) -> list[str]:
    """Names of the content that is kept."""
    return [path.name for path in (folder / "files").rglob("*") if path.is_file()]


def test_old_jobs_go_with_the_content_that_nobody_else_has(desk: Desk, tmp_path: Path) -> None:
    desk.kind.release.set()
    jobs = [desk.end(desk.submit(say)) for say in ("same", "same", "other")]
    assert len(contents(tmp_path)) == 2
    assert desk.queue.library.prune(3600) == 0
    assert desk.queue.library.prune(-1) == 3
    assert contents(tmp_path) == []
    for job in jobs:
        with pytest.raises(JobNotFound):
            desk.get(job)


def test_content_of_two_jobs_outlives_one_of_them(tmp_path: Path) -> None:
    clock = [1000.0]
    desk = Desk(tmp_path, now=lambda: clock[0])
    desk.kind.release.set()
    desk.end(desk.submit("same"))
    clock[0] += 100
    second = desk.end(desk.submit("same"))
    assert desk.queue.library.prune(50) == 1
    _, path = wait_for(desk.queue.library.file(result(second).file, "ann"))
    assert path.read_bytes() == b"same"
    desk.stop()


def test_an_input_is_there_for_the_run_and_gone_after_it(desk: Desk, tmp_path: Path) -> None:
    paper = tmp_path / "paper.txt"
    paper.write_text(" and paper")
    job = desk.submit("words", inputs={"paper": desk.files.take(paper, "paper.txt")})
    paper.unlink()
    assert list(desk.files.uploads.iterdir()) == []
    assert len(contents(tmp_path)) == 1
    desk.kind.release.set()
    done = desk.end(job)
    assert result(done).said == "words and paper"
    assert contents(tmp_path) == [done.files[0].sha256]


def test_a_result_that_is_a_waiting_jobs_input_too_stays(tmp_path: Path) -> None:
    clock = [1000.0]
    desk = Desk(tmp_path, now=lambda: clock[0])
    desk.kind.release.set()
    desk.end(desk.submit("paper"))
    desk.kind.release.clear()
    clock[0] += 100
    desk.submit("first")
    waiting = desk.submit("words on ", inputs={"paper": desk.files.write(b"paper")})
    assert desk.queue.library.prune(50) == 1
    desk.kind.release.set()
    assert result(desk.end(waiting)).said == "words on paper"
    desk.stop()


def test_jobs_that_wait_or_run_are_never_old(desk: Desk) -> None:
    jobs = [desk.submit(), desk.submit()]
    until(lambda: desk.kind.running)
    assert desk.queue.library.prune(-1) == 0
    desk.kind.release.set()
    assert all(desk.end(job).state is JobState.SUCCEEDED for job in jobs)


def test_a_deleted_jobs_key_and_history_are_gone(desk: Desk, tmp_path: Path) -> None:
    desk.kind.release.set()
    old = desk.end(desk.submit("a", idempotency_key="k"))
    assert desk.queue.library.prune(-1) == 1
    with sqlite3.connect(tmp_path / "jobs.db") as db:
        rows = [db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("jobs", "files", "events")]
    db.close()
    assert rows == [(0,)] * 3
    assert desk.submit("other words", idempotency_key="k").id != old.id


def test_many_old_jobs_go_in_one_call(tmp_path: Path) -> None:
    desk = Desk(tmp_path, capacity=FORGET_AT_ONCE + 50)
    desk.kind.release.set()
    for number in range(FORGET_AT_ONCE + 5):
        desk.submit(str(number))
    until(lambda: desk.queue.idle)
    assert desk.queue.library.prune(-1) == FORGET_AT_ONCE + 5
    assert contents(tmp_path) == []
    desk.stop()


def test_a_renamed_account_keeps_its_jobs(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.kind.release.set()
    job = desk.end(desk.submit(account="token-123", idempotency_key="k"))
    desk.stop()
    again = Desk(tmp_path, renamed={"token-123": "web"})
    assert again.get(job, "web").state is JobState.SUCCEEDED
    assert again.submit(account="web", idempotency_key="k").id == job.id
    assert [found.id for found in wait_for(again.queue.library.recent("web", "held"))] == [job.id]
    with pytest.raises(JobNotFound):
        again.get(job, "token-123")
    again.stop()


def test_recent_jobs_of_one_kind_are_not_crowded_out_by_another(tmp_path: Path) -> None:
    kinds = (HeldKind(), HeldKind("other"))
    desk = Desk(tmp_path, kinds=kinds)
    for kind in kinds:
        kind.release.set()
    hero = desk.end(desk.submit(kind="other"))
    jobs = [desk.end(desk.submit()) for _ in range(24)]
    assert [job.id for job in wait_for(desk.queue.library.recent("ann", "other", 12))] == [hero.id]
    assert [job.id for job in wait_for(desk.queue.library.recent("ann", "held", 12))] == [
        job.id for job in jobs[:11:-1]
    ]
    desk.stop()
