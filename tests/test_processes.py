"""The studio as it is started, and the process beside it that makes its pictures."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Launched
from tests.serving import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process has loaded")


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def submit(http: httpx.Client) -> str:
    body = {"prompt": "a city at night", "seed": 7, "width": 256, "height": 256, "num_inference_steps": 24}
    url: str = http.post("/jobs", json={"kind": "image", "request": body}).json()["status_url"]
    return url


def job(http: httpx.Client, url: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(url).json()
    return found


def test_torch_is_loaded_beside_the_studio_only(studio: Launched) -> None:
    assert "/torch/" in maps(studio.image_process)
    assert "/torch/" not in maps(studio.process.pid)


def test_a_picture_whose_process_is_killed_is_made_again_and_the_same(studio: Launched) -> None:
    with httpx.Client(base_url=studio.url, timeout=60) as http:
        first = submit(http)
        until(lambda: job(http, first)["progress"]["stage"] == "denoise", 60)
        os.kill(studio.image_process, signal.SIGKILL)
        second = submit(http)
        until(lambda: job(http, second)["state"] == "succeeded", 240)
        killed, whole = job(http, first), job(http, second)
    assert (killed["state"], killed["attempt"], whole["attempt"]) == ("succeeded", 2, 1)
    assert killed["files"][0]["sha256"] == whole["files"][0]["sha256"]
    assert "the process for pictures was ended by signal 9" in studio.output.read_text()
