"""The process that pictures are made in is lost in the middle of a job: that costs the attempt, not the job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.jobs.model import MAX_ATTEMPTS
from tests.engines.sdxl.small_worker import process
from tests.serving import create_api, make_studio, serving, settings_in, until
from tests.small_engines import EchoSpeech


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    studio = make_studio(
        settings_in(tmp_path_factory.mktemp("data")), process(tmp_path_factory.mktemp("models")), EchoSpeech()
    )
    with serving(create_api(studio)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def ended(http: httpx.Client, prompt: str) -> dict[str, Any]:
    body = {"kind": "image", "request": {"prompt": prompt, "seed": 7, "width": 64, "height": 64}}
    url = http.post("/jobs", json=body).json()["status_url"]
    until(lambda: http.get(url).json()["state"] in ("succeeded", "failed", "cancelled"), 60)
    found: dict[str, Any] = http.get(url).json()
    return found


def test_the_job_is_run_again_and_makes_the_same_picture(http: httpx.Client) -> None:
    again, once = ended(http, "die once"), ended(http, "die once")
    assert (again["state"], again["attempt"]) == ("succeeded", 2)
    assert (once["state"], once["attempt"]) == ("succeeded", 1)
    assert again["files"][0]["sha256"] == once["files"][0]["sha256"]


def test_one_that_ends_every_process_fails_with_the_reason_and_the_studio_goes_on(http: httpx.Client) -> None:
    failed = ended(http, "die")
    assert (failed["state"], failed["attempt"]) == ("failed", MAX_ATTEMPTS)
    assert failed["error"]["type"] == "engine_crashed"
    assert "was ended by signal 9" in failed["error"]["message"]
    assert ended(http, "on blue")["state"] == "succeeded"


def test_a_model_that_cannot_be_loaded_is_told_by_the_health(tmp_path: Path) -> None:
    pictures = process(tmp_path / "models", choose=lambda _: "deadly")
    studio = make_studio(settings_in(tmp_path / "data"), pictures, EchoSpeech())
    with serving(create_api(studio)) as url:
        until(lambda: httpx.get(f"{url}/health").json()["status"] == "failed")
        assert (
            "could not be loaded. The process that makes pictures was ended by signal 9"
            in httpx.get(f"{url}/health").text
        )
