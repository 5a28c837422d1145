"""What a device does while it has no job: nothing that anybody would have to wait for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from app.jobs.queue import Submission
from app.jobs.worker import Worker
from app.studio import Studio
from app.work.image import PlainRequest
from tests.serving import make_studio, settings_in, until
from tests.small_engines import BlobEngine, EchoSpeech


class Chore:
    """Spare work that goes on until it is stopped, `times` times."""

    def __init__(self, times: int = 1000) -> None:
        self.times = times
        self.begun = 0
        self.stopped = 0
        self.inside = Event()

    def __call__(self, wanted: Event) -> bool:
        self.begun += 1
        self.inside.set()
        if self.begun < self.times:
            wanted.wait()
            self.stopped += 1
        self.inside.clear()
        return self.begun < self.times


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Its own workers do not run."""
    made = make_studio(settings_in(tmp_path), BlobEngine(), EchoSpeech())
    yield made
    made.queue.close()


def worker(studio: Studio, chore: Chore, spare_after: float = 0.01) -> Worker:
    [image] = [worker for worker in studio.workers if worker.name == "image"]
    kinds = image._kinds.values()
    return Worker("image", studio.queue, kinds, studio.image.load, spare=chore, spare_after=spare_after)


def submit(studio: Studio) -> None:
    studio.queue.submit(Submission("image", PlainRequest(prompt="x", width=64, height=64), "local"))


def test_a_job_stops_it_and_is_done_at_once(studio: Studio) -> None:
    chore = Chore()
    running = worker(studio, chore)
    running.start()
    until(lambda: chore.inside.is_set())
    submit(studio)
    until(lambda: studio.queue.idle)
    assert chore.stopped >= 1
    # And it is taken up again.
    until(lambda: chore.begun > chore.stopped)
    studio.queue.give_up()
    running.close(20)
    assert not any(thread.is_alive() for thread in threading.enumerate() if thread.name.startswith("image-"))


def test_it_does_not_begin_before_a_device_was_idle_for_a_while(studio: Studio) -> None:
    chore = Chore()
    running = worker(studio, chore, spare_after=600)
    running.start()
    submit(studio)
    until(lambda: studio.queue.idle)
    assert chore.begun == 0
    studio.queue.give_up()
    running.close(20)


def test_a_stop_of_the_server_does_not_wait_for_it(studio: Studio) -> None:
    chore = Chore()
    running = worker(studio, chore)
    running.start()
    until(lambda: chore.inside.is_set())
    studio.queue.drain()
    until(lambda: chore.stopped)
    studio.queue.give_up()
    running.close(20)


def test_it_ends_when_there_is_no_more_of_it_or_it_fails(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Chore):
        def __call__(self, wanted: Event) -> bool:
            super().__call__(wanted)
            raise ZeroDivisionError

    for chore in (Chore(times=1), Broken(times=1)):
        running = worker(studio, chore)
        running.start()
        until(lambda chore=chore: chore.begun)  # type: ignore[misc]
        submit(studio)
        until(lambda: studio.queue.idle)
        assert chore.begun == 1
    assert "spare work failed" in caplog.text
    studio.queue.give_up()
