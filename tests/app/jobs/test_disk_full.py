"""A disk that fills up while the studio runs: each caller is told, nothing else is lost, and it goes on afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.conftest import Served, serve
from tests.app.http.test_images import held
from tests.app.ui.test_endpoints import write_sound
from tests.disks import fill, small_disk
from tests.serving import until


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Served]:
    """A studio whose data folder is a disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "3m"):
        yield from serve(disk / "data")


def is_told(answer: httpx.Response, disk: Path) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    error = answer.json()["error"]
    assert error["type"] == "storage_failed"
    assert error["message"].endswith(".")
    assert str(disk) not in answer.text


def test_new_work_is_refused_and_taken_again_when_there_is_room(cramped: Served, tmp_path: Path) -> None:
    disk = cramped.studio.settings.data_dir.parent
    before = cramped.http.post("/generate", json={"prompt": "a red fox"}).json()
    ballast = fill(disk)
    sound = write_sound(tmp_path).read_bytes()
    is_told(cramped.http.post("/v1/audio/transcriptions", files={"file": ("a.wav", sound)}), disk)
    is_told(cramped.http.post("/generate", json={"prompt": "a red fox"}), disk)
    assert cramped.http.get("/health/live").status_code == 200
    assert cramped.http.get(f"/jobs/{before['job_id']}").json()["state"] == "succeeded"
    ballast.unlink()
    assert cramped.http.post("/v1/audio/transcriptions", files={"file": ("a.wav", sound)}).status_code == 200
    assert cramped.http.post("/generate", json={"prompt": "a red fox"}).status_code == 200


def test_a_result_that_cannot_be_kept_fails_its_job_and_frees_its_key(cramped: Served) -> None:
    disk = cramped.studio.settings.data_dir.parent
    answers: list[httpx.Response] = []
    headers = {"Idempotency-Key": "once"}

    def generate() -> None:
        answers.append(cramped.http.post("/generate", json={"prompt": "a red fox"}, headers=headers))

    thread = threading.Thread(target=generate)
    with held(cramped):
        thread.start()
        until(cramped.running)
        ballast = fill(disk)
    thread.join()
    is_told(answers[0], disk)
    ballast.unlink()
    again = cramped.http.post("/generate", json={"prompt": "a red fox"}, headers=headers)
    assert again.status_code == 200, again.text
    same = cramped.http.post("/generate", json={"prompt": "a red fox"}, headers=headers)
    assert same.json()["job_id"] == again.json()["job_id"]
