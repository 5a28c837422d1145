"""Jobs as callers live them: order, cancel, watching, idempotency, restarts, full disks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.jobs.lane import Lane, LaneState
from app.jobs.model import (
    Draining,
    FileNotFound,
    IdempotencyConflict,
    Job,
    JobNotFound,
    JobState,
    QueueFull,
    StorageFailed,
)
from app.jobs.queue import JobContext, Jobs
from app.jobs.store.opening import open_stores
from engines.errors import Cancelled, InvalidRequest, ModelMissing
from engines.types import Progress


class Bench:
    """Jobs on one lane over a folder, with work that the test holds and releases."""

    def __init__(self, folder: Path, *, width: int = 1, capacity: int = 4) -> None:
        self.lane = Lane("image", lambda: None, width=width, capacity=capacity)
        stores = open_stores(folder)
        self.store = stores.jobs
        self.jobs = Jobs(stores, {"image": self.lane})
        self.jobs.start()
        self.running: list[str] = []
        self.most_at_once = 0
        self.release = threading.Event()
        self._lock = threading.Lock()

    def held(self, context: JobContext) -> dict[str, Any]:
        """Work that steps until released, and looks at cancel at each step, as the engines do."""
        with self._lock:
            self.running.append(context.job_id)
            self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            step = 0
            while not self.release.wait(0.01):
                step += 1
                context.report(Progress("denoise", min(step, 99), 100, min(step, 99) / 100))
                if context.cancel.is_set():
                    # A real engine takes a moment to clean up: the next job must wait for it.
                    time.sleep(0.05)
                    raise Cancelled
            return {"job": context.job_id}
        finally:
            with self._lock:
                self.running.remove(context.job_id)

    def submit(self, request: dict[str, Any] | None = None, key: str | None = None, owner: str = "ann") -> Job:
        return self.jobs.submit("image", request or {}, self.held, owner=owner, idempotency_key=key)

    def end(self, job: Job) -> Job:
        return asyncio.run(asyncio.wait_for(self.jobs.finished(job.id, job.owner), 20))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.release.set()
    bench.jobs.close()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 20 s"
        time.sleep(0.005)


def test_a_job_is_known_at_once_and_its_result_can_be_read_again(bench: Bench) -> None:
    def work(context: JobContext) -> dict[str, Any]:
        return {"file": context.keep("1.png", "image/png", b"bytes").id}

    job = bench.jobs.submit("image", {"prompt": "x"}, work, owner="ann")
    assert bench.jobs.get(job.id, "ann").request == {"prompt": "x"}
    done = bench.end(job)
    assert done.state is JobState.SUCCEEDED
    for _ in range(2):
        file, data = bench.jobs.file(done.succeeded().result["file"], "ann")  # type: ignore[index]
        assert (file.media_type, data) == ("image/png", b"bytes")


def test_nobody_else_sees_a_job_or_its_files(bench: Bench) -> None:
    job = bench.jobs.submit("image", {}, lambda c: {"f": c.keep("1.png", "image/png", b"x").id}, owner="ann")
    done = bench.end(job)
    assert done.result is not None
    with pytest.raises(JobNotFound):
        bench.jobs.get(job.id, "bob")
    with pytest.raises(JobNotFound):
        bench.jobs.cancel(job.id, "bob")
    with pytest.raises(FileNotFound):
        bench.jobs.file(done.result["f"], "bob")
    assert bench.jobs.recent("bob", "image") == []


@pytest.mark.parametrize("file_id", ["", "-", "../../etc/passwd-0", "0" * 20 + "-0", "x-\x00"])
def test_a_made_up_file_id_finds_nothing(bench: Bench, file_id: str) -> None:
    with pytest.raises(FileNotFound):
        bench.jobs.file(file_id, "ann")


def test_one_at_a_time_and_in_order(bench: Bench) -> None:
    first, second, third = (bench.submit() for _ in range(3))
    until(lambda: bench.running == [first.id])
    assert [bench.jobs.get(job.id, "ann").progress.ahead for job in (second, third)] == [1, 2]
    bench.release.set()
    assert all(bench.end(job).state is JobState.SUCCEEDED for job in (first, second, third))
    assert bench.most_at_once == 1


def test_a_cancelled_job_never_overlaps_the_next(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    until(lambda: bench.running == [first.id])
    bench.jobs.cancel(first.id, "ann")
    assert bench.end(first).state is JobState.CANCELLED
    until(lambda: bench.running == [second.id])
    assert bench.most_at_once == 1


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    until(lambda: bench.running == [first.id])
    assert bench.jobs.cancel(second.id, "ann").state is JobState.CANCELLED
    bench.release.set()
    bench.end(first)
    assert bench.jobs.get(second.id, "ann").started_at is None


def test_cancelling_a_finished_job_leaves_it_as_it_is(bench: Bench) -> None:
    bench.release.set()
    done = bench.end(bench.submit())
    assert bench.jobs.cancel(done.id, "ann").state is JobState.SUCCEEDED


def test_a_repeated_key_returns_the_first_job_while_it_runs_and_afterwards(bench: Bench) -> None:
    first = bench.submit({"prompt": "a"}, key="k")
    assert bench.submit({"prompt": "a"}, key="k").id == first.id
    bench.release.set()
    bench.end(first)
    again = bench.submit({"prompt": "a"}, key="k")
    assert (again.id, again.state) == (first.id, JobState.SUCCEEDED)
    assert bench.submit({"prompt": "a"}, key="k", owner="bob").id != first.id


def test_a_key_used_for_another_request_is_refused(bench: Bench) -> None:
    first = bench.submit({"prompt": "a"}, key="k")
    with pytest.raises(IdempotencyConflict, match=f"'k'.*{first.id}"):
        bench.submit({"prompt": "b"}, key="k")


def test_a_full_queue_refuses_and_forgets(bench: Bench) -> None:
    running = bench.submit()
    until(lambda: bench.running == [running.id])
    waiting = [bench.submit() for _ in range(4)]
    with pytest.raises(QueueFull, match="4 image jobs are waiting"):
        bench.submit(key="later")
    bench.jobs.cancel(waiting[0].id, "ann")
    assert bench.submit(key="later").state is JobState.QUEUED


def test_errors_are_kept_as_errors_and_never_as_results(bench: Bench) -> None:
    def bad_field(context: JobContext) -> dict[str, Any]:
        raise InvalidRequest("steps", "steps -1 must be 1 to 150.")

    def bug(context: JobContext) -> dict[str, Any]:
        context.keep("1.png", "image/png", b"half")
        raise ZeroDivisionError("secret detail")

    failed = bench.end(bench.jobs.submit("image", {}, bad_field, owner="ann"))
    assert (failed.state, failed.result) == (JobState.FAILED, None)
    assert failed.public()["error"] == {
        "type": "invalid_request",
        "message": "steps -1 must be 1 to 150.",
        "field": "steps",
    }
    broken = bench.end(bench.jobs.submit("image", {}, bug, owner="ann"))
    assert broken.error is not None
    assert broken.error.type == "internal"
    assert "secret" not in broken.error.message
    assert broken.files == ()
    bench.release.set()
    assert bench.end(bench.submit()).state is JobState.SUCCEEDED


def test_a_model_that_cannot_be_loaded_fails_its_jobs_with_the_reason(tmp_path: Path) -> None:
    def load() -> None:
        raise ModelMissing("sdxl is not on disk. Get it with: python3 launch.py models pull sdxl")

    lane = Lane("image", load)
    jobs = Jobs(open_stores(tmp_path), {"image": lane})
    jobs.start()
    job = jobs.submit("image", {}, lambda context: {}, owner="ann")
    done = asyncio.run(jobs.finished(job.id, "ann"))
    assert done.error is not None
    assert (done.state, done.error.type) == (JobState.FAILED, "model_missing")
    assert lane.status.state is LaneState.FAILED
    assert "models pull" in lane.status.problem
    assert not jobs.ready
    jobs.close()


def test_watching_shows_progress_and_ends_with_the_final_state(bench: Bench) -> None:
    async def watch(job: Job) -> list[Job]:
        seen = []
        async for snapshot in bench.jobs.watch(job.id, "ann"):
            seen.append(snapshot)
            if snapshot.progress.step >= 3:
                bench.release.set()
        return seen

    seen = asyncio.run(asyncio.wait_for(watch(bench.submit()), 20))
    fractions = [job.progress.fraction for job in seen]
    assert fractions == sorted(fractions)
    assert any(job.progress.eta_seconds for job in seen)
    assert [job.final for job in seen] == [False] * (len(seen) - 1) + [True]


def test_a_watcher_that_goes_away_leaves_the_job_running(bench: Bench) -> None:
    async def leave(job: Job) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(bench.jobs.finished(job.id, "ann"), 0.05)

    job = bench.submit()
    asyncio.run(leave(job))
    bench.release.set()
    assert bench.end(job).state is JobState.SUCCEEDED


def test_draining_finishes_what_was_acknowledged_and_takes_nothing_new(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    bench.jobs.drain()
    with pytest.raises(Draining):
        bench.submit()
    bench.release.set()
    assert bench.end(first).state is bench.end(second).state is JobState.SUCCEEDED
    until(lambda: bench.jobs.idle)


def test_a_stop_marks_unfinished_work_as_interrupted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    jobs = [bench.submit() for _ in range(2)]
    until(lambda: bench.running)
    bench.jobs.close()
    stores = open_stores(tmp_path)
    for job in jobs:
        stored = stores.jobs.get(job.id)
        assert stored is not None
        assert stored.state is JobState.INTERRUPTED
    stores.close()


def test_a_full_disk_fails_the_job_in_plain_words_and_the_lane_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = bench.store.save

    def full(job: Job) -> None:
        raise StorageFailed("The job store could not be used (disk full). Free disk space.")

    bench.release.set()
    monkeypatch.setattr(bench.store, "save", full)
    lost = bench.end(bench.submit())
    assert lost.error is not None
    assert (lost.state, lost.error.type) == (JobState.FAILED, "storage_failed")
    monkeypatch.setattr(bench.store, "save", save)
    assert bench.end(bench.submit()).state is JobState.SUCCEEDED


def test_old_jobs_and_their_files_are_deleted(bench: Bench, tmp_path: Path) -> None:
    job = bench.jobs.submit("image", {}, lambda c: {"f": c.keep("1.png", "image/png", b"x").id}, owner="ann")
    bench.end(job)
    assert bench.jobs.prune(3600) == 0
    assert bench.jobs.prune(-1) == 1
    assert list((tmp_path / "files").rglob("*.png")) == []
    with pytest.raises(JobNotFound):
        bench.jobs.get(job.id, "ann")
