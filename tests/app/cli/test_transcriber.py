"""The whole way of a recording: the studio, and the speech service that `launch.py transcriber` starts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import ROOT, launched

SPEECH = ROOT / "tests" / "data" / "speech"
SENTENCE: str = json.loads((SPEECH / "sentences.json").read_text())["sentence.wav"]


@contextmanager
def transcriber(**variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`launch.py transcriber` on a free port, as Cloud Run starts it: with PORT."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    env |= {"PORT": str(port), **variables}
    command = [sys.executable, "launch.py", "transcriber"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        until_ready(url)
        yield url, process
    finally:
        process.kill()
        process.communicate()


def until_ready(url: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health/ready", timeout=10).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the speech service did not get ready within 90 s")


def transcribe(url: str) -> dict[str, Any]:
    with (SPEECH / "sentence.mp4").open("rb") as file:
        form = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
        answer = httpx.post(f"{url}/v1/audio/transcriptions", files={"file": file}, data=form, timeout=120)
    assert answer.status_code == 200, answer.text
    got: dict[str, Any] = answer.json()
    return got


def test_the_studio_sends_recordings_to_the_service_and_falls_back_when_it_is_gone(tmp_path: Path) -> None:
    with transcriber() as (service, process), launched(tmp_path, TRANSCRIPTION_SERVICE_URL=service) as studio:
        assert service in studio.output.read_text()
        there = transcribe(studio.url)
        assert (there["text"], there["where"]) == (SENTENCE, "cloud-run")
        assert [word["word"] for word in there["words"]] == SENTENCE.split()
        assert all(0 < word["confidence"] <= 1 for word in there["words"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        here = transcribe(studio.url)
        assert (here["text"], here["where"]) == (SENTENCE, "local")
        assert here["note"]
