"""A job's photo: kept on disk while the job needs it, read by nobody else, told by its hash."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.http.errors import problem_of
from app.jobs.model import IdempotencyConflict, Job, JobFailed, JobState, QueueFull
from app.work.studio import Studio
from engines.errors import InvalidMedia
from engines.types import ImageRequest
from tests.serving import make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech


@pytest.fixture
def image() -> BlobEngine:
    return BlobEngine()


@pytest.fixture
def studio(tmp_path: Path, image: BlobEngine) -> Iterator[Studio]:
    studio = make_studio(settings_in(tmp_path, max_queue=1), image, EchoSpeech())
    studio.jobs.start()
    yield studio
    image.gate.set()
    studio.jobs.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (300, 200), (250, 120, 10)).save(path)
    return path


def submit(studio: Studio, photo: Path, key: str | None = None) -> Job:
    return studio.submit_image(ImageRequest("a knight", init_image=photo), owner="ann", idempotency_key=key)


def end(studio: Studio, job: Job) -> Job:
    return asyncio.run(asyncio.wait_for(studio.jobs.finished(job.id, "ann"), 30))


def uploads(studio: Studio) -> list[str]:
    return [path.name for path in studio.media.uploads.iterdir()]


def test_the_callers_file_may_go_and_the_copy_goes_with_the_job(studio: Studio, image: BlobEngine, photo: Path) -> None:
    image.gate.clear()
    sha256 = hashlib.sha256(photo.read_bytes()).hexdigest()
    job = submit(studio, photo)
    photo.unlink()
    assert uploads(studio) == [job.id]
    assert (job.request["init_image_sha256"], "init_image" in job.request) == (sha256, False)
    image.gate.set()
    assert end(studio, job).state is JobState.SUCCEEDED
    assert uploads(studio) == []


def test_a_repeated_key_makes_one_job_of_one_photo(studio: Studio, photo: Path) -> None:
    first = end(studio, submit(studio, photo, "once"))
    assert submit(studio, photo, "once").id == first.id
    Image.new("RGB", (8, 8)).save(photo)
    with pytest.raises(IdempotencyConflict):
        submit(studio, photo, "once")
    assert uploads(studio) == []


def test_a_job_that_is_not_taken_leaves_no_copy(studio: Studio, image: BlobEngine, photo: Path) -> None:
    image.gate.clear()
    taken = []

    def submit_too_many() -> None:
        for _ in range(3):
            taken.append(submit(studio, photo).id)

    with pytest.raises(QueueFull):
        submit_too_many()
    assert sorted(uploads(studio)) == sorted(taken)


def test_a_photo_that_its_header_gives_away_is_no_job(studio: Studio, photo: Path) -> None:
    photo.write_text("no picture")
    with pytest.raises(InvalidMedia, match=r"init_image \(10 bytes\) is not a PNG"):
        submit(studio, photo)
    assert uploads(studio) == []


def test_a_photo_that_is_cut_off_fails_its_job_which_answers_422(studio: Studio, photo: Path) -> None:
    photo.write_bytes(photo.read_bytes()[:-40])
    job = end(studio, submit(studio, photo))
    assert job.state is JobState.FAILED
    with pytest.raises(JobFailed, match="init_image is damaged or cut off") as failed:
        job.succeeded()
    answer = problem_of(failed.value)
    error = json.loads(bytes(answer.body))["error"]
    assert (answer.status_code, error["type"], error["field"]) == (422, "invalid_media", "init_image")
    assert uploads(studio) == []
