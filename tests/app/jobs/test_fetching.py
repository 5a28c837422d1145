"""Jobs whose file is at an address: fetched first, then run, whatever happens in between."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from app.jobs.live import JobEvent
from app.jobs.model import Job, JobState
from engines.errors import Cancelled, InvalidRequest
from engines.events import Progress
from tests.app.jobs.small_work import Desk, Done, wait_for
from tests.disks import small_disk
from tests.serving import until

LETTER = "https://letters.example/letter"


@dataclass(frozen=True)
class Found:
    sha256: str
    filename: str


@dataclass
class HeldOpener:
    """Has `contents` at addresses; what is not there is told as a bad address. Sends once `release` is set."""

    contents: dict[str, bytes] = field(default_factory=lambda: {LETTER: b"dear ann"})
    release: threading.Event = field(default_factory=threading.Event)
    opened: list[str] = field(default_factory=list)
    running: int = 0

    def check(self, field: str, address: str) -> None:
        if not address.startswith("https://"):
            raise InvalidRequest(field, f"{field} is not an https address.")

    def fetch(
        self,
        field: str,
        address: str,
        into: IO[bytes],
        cancel: threading.Event,
        on_progress: Callable[[Progress], None],
    ) -> Found:
        self.opened.append(address)
        self.running += 1
        try:
            while not self.release.wait(0.005):
                on_progress(Progress("fetch", 1, 2, 0.5))
                if cancel.is_set():
                    raise Cancelled
        finally:
            self.running -= 1
        if address not in self.contents:
            raise InvalidRequest(field, f"{field} is not there.")
        into.write(self.contents[address])
        return Found(hashlib.sha256(self.contents[address]).hexdigest(), address.rpartition("/")[2])


def files_of(desk: Desk) -> list[Path]:
    return [path for path in (*desk.files.uploads.iterdir(), *desk.files._content.rglob("*")) if path.is_file()]


def test_a_file_at_an_address_is_fetched_while_the_device_does_other_work(tmp_path: Path) -> None:
    opener = HeldOpener()
    desk = Desk(tmp_path, opener=opener)
    fetching = desk.submit("read", paper=LETTER)
    until(lambda: opener.running == 1)
    other = desk.submit("other")
    desk.kind.release.set()
    assert desk.end(other).state is JobState.SUCCEEDED
    now = desk.get(fetching)
    assert (now.state, now.progress.stage) == (JobState.RUNNING, "fetch")
    opener.release.set()
    done = desk.end(fetching)
    assert isinstance(done.result, Done)
    assert done.result.said == "read letter dear ann"
    # The fetching is no run of its own.
    assert done.attempt == 1
    # The input goes with the end; the result stays.
    assert len(files_of(desk)) == 2
    desk.stop()


def test_followers_hear_of_the_fetching_and_then_of_the_place_in_the_queue(tmp_path: Path) -> None:
    opener = HeldOpener()
    desk = Desk(tmp_path, opener=opener)
    job = desk.submit(paper=LETTER)

    async def follow() -> list[JobEvent]:
        seen = []
        async for event in desk.queue.events(job.id, "ann"):
            seen.append(event)
            if event.told is not None and event.job.progress.stage == "fetch":
                opener.release.set()
            desk.kind.release.set()
        return seen

    seen = wait_for(follow())
    assert [event.id for event in seen] == sorted({event.id for event in seen})
    states = [event.job.state.value for event in seen if event.told is None]
    assert states == ["queued", "running", "queued", "running", "succeeded"]
    desk.stop()


def test_addresses_that_are_not_to_be_opened_are_refused_before_a_job_is_made(tmp_path: Path) -> None:
    desk = Desk(tmp_path, opener=HeldOpener())
    with pytest.raises(InvalidRequest, match="paper is not an https address"):
        desk.submit(paper="http://letters.example/letter")
    with pytest.raises(InvalidRequest, match="letterUrl is not an https address"):
        desk.submit(paper="http://letters.example/letter", address_field="letterUrl")
    with pytest.raises(InvalidRequest, match="send one of them"):
        desk.submit(paper=LETTER, inputs={"paper": desk.files.write(b"here")})
    assert desk.queue.idle
    assert files_of(desk) == []
    desk.stop()


def test_without_an_opener_no_address_is_taken(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(InvalidRequest, match="send the file itself"):
        desk.submit(paper=LETTER)
    desk.stop()


@pytest.mark.parametrize(("address", "said"), [("https://x.example/none", "is not there"), (LETTER + ",2", "a comma")])
def test_what_cannot_be_fetched_or_used_fails_the_job_with_its_field(tmp_path: Path, address: str, said: str) -> None:
    opener = HeldOpener({LETTER + ",2": b"dear ann"})
    opener.release.set()
    desk = Desk(tmp_path, opener=opener)
    failed = desk.end(desk.submit(paper=address))
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.field == "paper"
    assert said in failed.error.message
    assert files_of(desk) == []
    desk.stop()


def test_a_failed_fetch_is_tried_again_when_its_sender_repeats_the_request(tmp_path: Path) -> None:
    opener = HeldOpener({})
    opener.release.set()
    desk = Desk(tmp_path, opener=opener)
    desk.kind.release.set()
    failed = desk.end(desk.submit(paper=LETTER, idempotency_key="k"))
    assert failed.state is JobState.FAILED
    opener.contents[LETTER] = b"dear ben"
    again = desk.end(desk.submit(paper=LETTER, idempotency_key="k"))
    assert (again.id, again.state) == (failed.id, JobState.SUCCEEDED)
    assert again.attempt == 2
    desk.stop()


def test_what_failed_after_the_fetch_is_fetched_again_for_the_next_attempt(tmp_path: Path) -> None:
    opener = HeldOpener()
    opener.release.set()
    desk = Desk(tmp_path, opener=opener)
    desk.kind.release.set()
    desk.kind.fail_with = InvalidRequest("say", "no")
    failed = desk.end(desk.submit(paper=LETTER, idempotency_key="k"))
    desk.kind.fail_with = None
    again = desk.end(desk.submit(paper=LETTER, idempotency_key="k"))
    assert (failed.state, again.state) == (JobState.FAILED, JobState.SUCCEEDED)
    assert opener.opened == [LETTER, LETTER]
    desk.stop()


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_a_restart_while_fetching_fetches_again_and_one_after_it_does_not(tmp_path: Path, end: str) -> None:
    opener = HeldOpener()
    desk = Desk(tmp_path, opener=opener)
    job = desk.submit("read", paper=LETTER)
    until(lambda: opener.running == 1)
    if end == "crash":
        # A process that is gone stores nothing more: its folder is another's by the time the fetch ends.
        threading.Timer(0.2, opener.release.set).start()
    getattr(desk, end)()

    opener = HeldOpener()
    opener.release.set()
    desk = Desk(tmp_path, opener=opener)
    until(lambda: desk.kind.running == [job.id])
    getattr(desk, end)()
    assert opener.opened == [LETTER]

    after = HeldOpener()
    desk = Desk(tmp_path, opener=after)
    desk.kind.release.set()
    done = desk.end(job)
    assert isinstance(done.result, Done)
    assert done.result.said == "read letter dear ann"
    assert done.result.drawn == 1
    assert after.opened == []
    desk.stop()


def test_a_job_that_is_cancelled_while_it_is_fetched_ends_and_leaves_nothing(tmp_path: Path) -> None:
    opener = HeldOpener()
    desk = Desk(tmp_path, opener=opener)
    job = desk.submit(paper=LETTER)
    until(lambda: opener.running == 1)
    wait_for(desk.queue.cancel(job.id, "ann"))
    assert desk.end(job).state is JobState.CANCELLED
    until(lambda: files_of(desk) == [])
    desk.stop()


def test_a_cancel_that_comes_as_the_fetch_ends_is_not_lost(tmp_path: Path) -> None:
    """The moment between the file's arrival and its device's start, from both sides."""
    opener = HeldOpener()
    opener.release.set()
    desk = Desk(tmp_path, opener=opener)

    async def cancel_soon(job: Job, turns: int) -> JobState:
        for _ in range(turns):
            await asyncio.sleep(0)
        await desk.queue.cancel(job.id, "ann")
        return (await desk.queue.finished(job.id, "ann")).state

    for turns in range(0, 60, 3):
        job = desk.submit(paper=LETTER)
        assert wait_for(cancel_soon(job, turns)) is JobState.CANCELLED
    assert desk.queue.idle
    until(lambda: files_of(desk) == [])
    desk.stop()


def test_a_deadline_that_passes_while_the_file_is_fetched_ends_the_job(tmp_path: Path) -> None:
    opener = HeldOpener()
    desk = Desk(tmp_path, opener=opener)
    job = desk.submit(paper=LETTER, deadline_seconds=0.01)
    until(lambda: opener.running == 1)
    time.sleep(0.02)
    desk.queue.look_after()
    failed = desk.end(job)
    assert failed.error is not None
    assert failed.error.type == "deadline_exceeded"
    until(lambda: opener.running == 0 and files_of(desk) == [])
    desk.stop()


def test_a_full_disk_is_told_and_keeps_no_half_file(tmp_path: Path) -> None:
    opener = HeldOpener({LETTER: bytes(8 * 2**20)})
    opener.release.set()
    with small_disk(tmp_path, "4m"):
        desk = Desk(tmp_path, opener=opener)
        failed = desk.end(desk.submit(paper=LETTER))
        assert failed.error is not None
        assert failed.error.type == "storage_failed"
        assert files_of(desk) == []
        desk.stop()
