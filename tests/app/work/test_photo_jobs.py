"""A job's photo: kept on disk once while the job needs it, by its hash, and read by nobody else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.http.errors import problem_of
from app.jobs.errors import IdempotencyConflict, QueueFull
from app.jobs.model import Job, JobFailed, JobState
from app.jobs.queue import Submission
from app.studio import Studio
from app.work.presets import AvatarRequest
from engines.errors import InvalidMedia
from tests.serving import make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech


@pytest.fixture
def image() -> BlobEngine:
    return BlobEngine()


@pytest.fixture
def studio(tmp_path: Path, image: BlobEngine) -> Iterator[Studio]:
    studio = make_studio(settings_in(tmp_path, max_queue=1), image, EchoSpeech())
    studio.start()
    yield studio
    image.gate.set()
    studio.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (300, 200), (250, 120, 10)).save(path)
    return path


def submit(studio: Studio, photo: Path, key: str | None = None) -> Job:
    request = AvatarRequest(prompt="a knight", preset="none")
    files = {"photo": studio.files.take(photo, photo.name)}
    return studio.queue.submit(Submission("avatar", request, "ann", files, idempotency_key=key))


def end(studio: Studio, job: Job) -> Job:
    return asyncio.run(asyncio.wait_for(studio.queue.finished(job.id, "ann"), 30))


def kept(folder: Path) -> list[str]:
    """Names of everything in the file store."""
    files = [path for name in ("files", "uploads") for path in (folder / name).rglob("*")]
    return [path.name for path in files if path.is_file()]


def test_the_callers_file_may_go_and_the_copy_goes_with_the_job(
    studio: Studio, image: BlobEngine, photo: Path, tmp_path: Path
) -> None:
    image.gate.clear()
    sha256 = hashlib.sha256(photo.read_bytes()).hexdigest()
    job = submit(studio, photo)
    photo.unlink()
    assert kept(tmp_path) == [sha256]
    assert job.request.model_dump()["photo_sha256"] == job.work.model_dump()["photo_sha256"] == sha256
    image.gate.set()
    done = end(studio, job)
    assert done.state is JobState.SUCCEEDED
    assert done.result is not None
    assert done.result.model_dump()["images"][0]["recipe"]["photo_sha256"] == sha256
    assert kept(tmp_path) == [done.files[0].sha256]


def test_two_jobs_with_one_photo_keep_it_once_and_until_the_last(
    studio: Studio, image: BlobEngine, photo: Path, tmp_path: Path
) -> None:
    image.gate.clear()
    first, second = submit(studio, photo), submit(studio, photo)
    assert len(kept(tmp_path)) == 1
    asyncio.run(studio.queue.cancel(first.id, "ann"))
    end(studio, first)
    image.gate.set()
    assert end(studio, second).state is JobState.SUCCEEDED


def test_a_repeated_key_makes_one_job_of_one_photo(studio: Studio, photo: Path, tmp_path: Path) -> None:
    first = end(studio, submit(studio, photo, "once"))
    assert submit(studio, photo, "once").id == first.id
    Image.new("RGB", (8, 8)).save(photo)
    with pytest.raises(IdempotencyConflict):
        submit(studio, photo, "once")
    assert kept(tmp_path) == [first.files[0].sha256]


def test_a_job_that_is_run_again_brings_its_photo_along(
    studio: Studio, image: BlobEngine, photo: Path, tmp_path: Path
) -> None:
    image.gate.clear()
    sha256 = hashlib.sha256(photo.read_bytes()).hexdigest()
    first = submit(studio, photo, "once")
    asyncio.run(studio.queue.cancel(first.id, "ann"))
    assert end(studio, first).state is JobState.CANCELLED
    assert kept(tmp_path) == []
    assert submit(studio, photo, "once").id == first.id
    assert kept(tmp_path) == [sha256]
    image.gate.set()
    result = end(studio, first).succeeded().result
    assert result is not None
    assert result.model_dump()["images"][0]["recipe"]["photo_sha256"] == sha256


def test_a_job_that_is_not_taken_leaves_no_copy(studio: Studio, image: BlobEngine, photo: Path, tmp_path: Path) -> None:
    image.gate.clear()
    for _ in range(2):
        submit(studio, photo)
    Image.new("RGB", (9, 9)).save(photo)
    with pytest.raises(QueueFull):
        submit(studio, photo)
    assert len(kept(tmp_path)) == 1


def test_a_photo_that_its_header_gives_away_is_no_job(studio: Studio, photo: Path, tmp_path: Path) -> None:
    photo.write_text("no picture")
    with pytest.raises(InvalidMedia, match=r"photo \(10 bytes\) is not a PNG"):
        submit(studio, photo)
    assert kept(tmp_path) == []


def test_a_photo_that_is_cut_off_fails_its_job_which_answers_422(studio: Studio, photo: Path, tmp_path: Path) -> None:
    photo.write_bytes(photo.read_bytes()[:-40])
    job = end(studio, submit(studio, photo))
    assert job.state is JobState.FAILED
    with pytest.raises(JobFailed, match="photo is damaged or cut off") as failed:
        job.succeeded()
    answer = problem_of(failed.value)
    assert answer.status_code == 422
    assert b'"type":"invalid_media"' in bytes(answer.body)
    assert b'"field":"photo"' in bytes(answer.body)
    assert kept(tmp_path) == []
