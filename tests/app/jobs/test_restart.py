"""What a queue that is opened over the folder of an earlier one does with the jobs that it finds there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.jobs.errors import Interrupted
from app.jobs.files import Files
from app.jobs.live import JobEvent
from app.jobs.model import MAX_ATTEMPTS, Job, JobState, Priority
from app.jobs.queue import Submission
from app.jobs.states import Claim
from app.jobs.store.database import Database
from app.jobs.store.folder import held
from app.work.image import PicturesResult, PictureWork, PlainRequest
from app.work.presets import AvatarRequest
from engines.errors import InvalidRequest
from tests.app.jobs.small_work import Desk, Done, wait_for
from tests.serving import make_studio, settings_in, until
from tests.small_engines import BlobEngine, EchoSpeech


def run_and(end: str, desk: Desk, folder: Path, job: Job) -> Desk:
    """Let the job run, end the process in this way, and open the next one."""
    until(lambda: desk.kind.running == [job.id])
    getattr(desk, end)()
    return Desk(folder)


def test_only_runs_that_end_with_the_process_are_counted_before_a_job_is_given_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    job = desk.submit()
    ends = ["stop", "stop", *["crash"] * (MAX_ATTEMPTS - 1), "stop"]
    for end in ends:
        desk = run_and(end, desk, tmp_path, job)
    assert desk.get(job).state in (JobState.QUEUED, JobState.RUNNING)
    desk = run_and("crash", desk, tmp_path, job)
    given_up = desk.get(job)
    assert given_up.error is not None
    assert (given_up.state, given_up.attempt) == (JobState.FAILED, len(ends) + 1)
    assert f"stopped {MAX_ATTEMPTS} times" in given_up.error.message
    desk.stop()


def test_the_count_begins_anew_when_its_sender_asks_for_the_job_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.kind.release.set()
    desk.kind.fail_with = InvalidRequest("say", "no")
    for _ in range(MAX_ATTEMPTS):
        job = desk.end(desk.submit(idempotency_key="k"))
    desk.stop()
    desk = Desk(tmp_path)
    assert desk.submit(idempotency_key="k").id == job.id
    for _ in range(MAX_ATTEMPTS - 1):
        desk = run_and("crash", desk, tmp_path, job)
    desk.kind.release.set()
    done = desk.end(job)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2 * MAX_ATTEMPTS)
    desk.stop()


def test_the_order_and_the_inputs_survive_a_crash(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    running = desk.submit("running", user="ann")
    until(lambda: desk.kind.running == [running.id])
    batch = desk.submit("batch", user="ann", priority=Priority.BATCH)
    paper = tmp_path / "paper.txt"
    paper.write_text(" and paper")
    second = desk.submit("words", user="ann", inputs={"paper": desk.files.take(paper, "paper.txt")})
    third = desk.submit("third", user="ann")
    other = desk.submit("other", user="bob")
    desk.files.write(b"half of an upload")
    lost = desk.files.write(b"placed, but its transaction never ended")
    desk.files.place(lost)
    desk.crash()
    desk = Desk(tmp_path)
    assert list(desk.files.uploads.iterdir()) == []
    assert not desk.files.path(lost.sha256).exists()
    desk.kind.release.set()
    done = [desk.end(job) for job in (running, other, second, third, batch)]
    assert desk.kind.order == [job.id for job in done]
    assert [job.attempt for job in done] == [2, 1, 1, 1, 1]
    assert isinstance(done[2].result, Done)
    assert done[2].result.said == "words and paper"
    assert {job.id: job.work for job in done} == {job.id: job.work for job in (running, batch, second, third, other)}
    desk.stop()


def test_a_result_that_is_being_stored_at_the_stop_is_made_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.kind.release.set()
    desk.kind.store_release.clear()
    job = desk.submit()
    until(lambda: desk.kind.storing == [job.id])
    desk.queue.give_up()
    desk.kind.store_release.set()
    desk.stop()
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    desk = Desk(tmp_path)
    desk.kind.release.set()
    done = desk.end(job)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    desk.stop()


def test_who_comes_to_wait_after_the_stop_is_told_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    job = desk.submit()
    desk.queue.give_up()
    with pytest.raises(Interrupted):
        desk.end(job)
    desk.stop()


class OrderedDatabase(Database):
    """Lets those who want to write come in the order of `turns`, the names of their threads."""

    turns: tuple[str, ...] = ()
    wanting: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        name = threading.current_thread().name
        if name not in self.turns or name in self.wanting:
            with super().exclusive():
                yield
            return
        self.wanting |= {name}
        before = set(self.turns[: self.turns.index(name)])
        until(lambda: self.wanting == set(self.turns) and before <= self.done)
        with super().exclusive():
            yield
        self.done |= {name}


class OrderedDesk(Desk):
    def open(self, folder: Path) -> tuple[Database, Files]:
        self.opened.enter_context(held(folder))
        self.ordered = OrderedDatabase(folder, may_begin=True)
        self.opened.callback(self.ordered.close)
        return self.ordered, Files(folder)


@pytest.mark.parametrize("turns", [("claim", "stop"), ("stop", "claim")])
def test_a_job_that_is_about_to_be_started_at_the_stop_is_not_overlooked(
    tmp_path: Path, turns: tuple[str, str]
) -> None:
    """It would run on and be taken, after the next start, for one that had ended its process."""
    desk = OrderedDesk(tmp_path, work=False)
    job = desk.submit()
    claims: list[Claim | None] = []
    desk.ordered.turns = turns
    threads = {
        "claim": threading.Thread(target=lambda: claims.append(desk.queue.claim("bench")), name="claim"),
        "stop": threading.Thread(target=desk.queue.give_up, name="stop"),
    }
    for name in ("claim", "stop"):
        # Each has decided to write before the other does.
        threads[name].start()
        until(lambda name=name: name in desk.ordered.wanting)  # type: ignore[misc]
    for thread in threads.values():
        thread.join()
    assert desk.get(job).state is JobState.QUEUED
    assert all(claim is None or claim.cancel.is_set() for claim in claims)
    desk.stop()


def test_a_place_in_the_queue_is_told_over_a_restart(tmp_path: Path) -> None:
    """To one who has seen several places before: what comes now is later than those."""
    desk = Desk(tmp_path, work=False)
    others = [desk.submit() for _ in range(4)]
    mine = desk.submit()

    async def places(desk: Desk, after: tuple[int, int], cancel: list[Job]) -> list[JobEvent]:
        """What is told at first, and after each cancelled job."""
        seen = []
        async for event in desk.queue.events(mine.id, "ann", after):
            seen.append(event)
            if not cancel:
                break
            await desk.queue.cancel(cancel.pop(0).id, "ann")
        return seen

    before = wait_for(places(desk, (0, 0), others[:3]))
    assert [event.job.progress.ahead for event in before] == [4, 3, 2, 1]
    desk.crash()
    desk = Desk(tmp_path, work=False)
    after = wait_for(places(desk, before[-1].id, others[3:]))
    assert [event.job.progress.ahead for event in after] == [1, 0]
    ids = [event.id for event in (*before, *after)]
    assert ids == sorted(set(ids))
    desk.stop()


@pytest.mark.parametrize("kind", ["image", "avatar"])
def test_a_random_seed_is_drawn_before_the_job_is_acknowledged_and_stays(tmp_path: Path, kind: str) -> None:
    image = BlobEngine()
    image.gate.clear()
    studio = make_studio(settings_in(tmp_path), image, EchoSpeech())
    studio.start()
    request = PlainRequest(prompt="a fox") if kind == "image" else AvatarRequest(prompt="a fox", count=2)
    jobs = [studio.queue.submit(Submission(kind, request, "ann")) for _ in range(2)]
    until(lambda: asyncio.run(studio.queue.get(jobs[0].id, "ann")).state is JobState.RUNNING)
    drawn = []
    for job in jobs:
        assert isinstance(job.work, PictureWork)
        drawn.append(job.work.seed)
    assert drawn[0] != drawn[1]
    studio.close()
    studio = make_studio(settings_in(tmp_path), BlobEngine(), EchoSpeech())
    studio.start()
    for job, seed in zip(jobs, drawn, strict=True):
        result = wait_for(studio.queue.finished(job.id, "ann")).succeeded().result
        assert isinstance(result, PicturesResult)
        assert result.images[0].seed == seed
    studio.close()
