"""The end of the drain, and a repeated Idempotency-Key: what callers hear of work that got no result."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.stores.opening import open_stores
from tests.app.conftest import Served, serve
from tests.app.test_http_images import held, running, until
from tests.serving import process_of

KEY = {"Idempotency-Key": "once"}

# A studio as `launch.py` serves it, whose pictures are never finished.
STUDIO = """
import sys
from pathlib import Path
from threading import Event
from app.listening import listen
from app.logs import set_up_logging
from app.serve import serve_studio
from tests.serving import make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

set_up_logging()
settings = settings_in(Path(sys.argv[2]), port=int(sys.argv[1]), drain_seconds=1)
studio = make_studio(settings, BlobEngine(gate=Event()), EchoSpeech())
sys.exit(serve_studio(studio, listen("127.0.0.1", settings.port), lambda: print("started", flush=True)))
"""


def endless(folder: Path) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    return process_of(STUDIO, str(folder))


def test_at_the_end_of_the_drain_everybody_who_waits_is_answered(tmp_path: Path) -> None:
    with endless(tmp_path) as (process, url), httpx.Client(base_url=url, timeout=60) as http:
        answers: dict[str, httpx.Response] = {}

        def ask(name: str, method: str, path: str, **more: Any) -> None:
            answers[name] = http.request(method, path, **more)

        def ask_in_background(name: str, method: str, path: str, **more: Any) -> threading.Thread:
            thread = threading.Thread(target=ask, args=(name, method, path), kwargs=more)
            thread.start()
            return thread

        threads = [
            ask_in_background("generate", "POST", "/generate", json={"prompt": "x"}, headers=KEY),
            ask_in_background("openai", "POST", "/v1/images/generations", json={"prompt": "y"}),
        ]
        until(lambda: sum(lane["running"] + lane["waiting"] for lane in http.get("/health").json()["lanes"]) == 2)
        event = http.post("/gradio_api/call/avatar", json={"data": ["z"]}).json()["event_id"]
        until(lambda: sum(lane["running"] + lane["waiting"] for lane in http.get("/health").json()["lanes"]) == 3)
        threads.append(ask_in_background("gradio", "GET", f"/gradio_api/call/avatar/{event}"))
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        output, _ = process.communicate(timeout=60)
    for name in ("generate", "openai"):
        answer = answers[name]
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["type"] == "interrupted"
        assert answer.json()["error"]["message"] == "The studio stopped before this job finished. Send it again."
    last = answers["gradio"].text.strip().split("\n\n")[-1]
    assert last.startswith("event: error")
    assert json.loads(last.partition("data: ")[2])["error"].startswith("The studio stopped before this job finished.")
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "most recent call last" not in output
    assert output.splitlines()[-1] == "Stopped after 1 s with work still running."
    stores = open_stores(tmp_path)
    assert stores.jobs.recent("local", "image", 10) == []
    stores.close()


def generate(served: Served, prompt: str = "a red fox", **headers: str) -> httpx.Response:
    return served.http.post("/generate", json={"prompt": prompt}, headers={**KEY, **headers})


@pytest.fixture
def key(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"Idempotency-Key": request.node.name[:190]}


def test_after_a_cancelled_job_the_key_starts_the_work_again(served: Served, key: dict[str, str]) -> None:
    with held(served), ThreadPoolExecutor() as pool:
        first = pool.submit(generate, served, **key)
        until(lambda: running(served))
        [job_id] = running(served)
        served.http.delete(f"/jobs/{job_id}")
        assert first.result().status_code == 499
    again = generate(served, **key)
    assert again.status_code == 200
    assert again.json()["job_id"] != job_id
    assert served.http.get(f"/jobs/{job_id}").json()["state"] == "cancelled"
    assert generate(served, **key).json()["job_id"] == again.json()["job_id"]
    assert generate(served, "another", **key).status_code == 422


def test_after_a_failed_job_the_key_starts_the_work_again(served: Served, key: dict[str, str]) -> None:
    data = {"file": ("notes.wav", b"this is no sound")}
    first = served.http.post("/v1/audio/transcriptions", files=data, headers=key)
    second = served.http.post("/v1/audio/transcriptions", files=data, headers=key)
    assert first.status_code == second.status_code == 422
    other = served.http.post("/v1/audio/transcriptions", files={"file": ("notes.wav", b"other")}, headers=key)
    assert other.json()["error"]["type"] == "idempotency_conflict"


def test_after_a_stop_the_key_starts_the_work_again(tmp_path: Path) -> None:
    with endless(tmp_path) as (process, url):
        thread = threading.Thread(
            target=lambda: httpx.post(f"{url}/generate", json={"prompt": "a red fox"}, headers=KEY)
        )
        thread.start()
        until(lambda: sum(lane["running"] for lane in httpx.get(f"{url}/health").json()["lanes"]) == 1)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        thread.join(60)
    for served in serve(tmp_path):
        made = generate(served)
        assert made.status_code == 200, made.text
        assert generate(served).json()["job_id"] == made.json()["job_id"]


def test_fifty_repeats_at_once_make_one_new_run(served: Served, key: dict[str, str]) -> None:
    with held(served), ThreadPoolExecutor() as pool:
        first = pool.submit(generate, served, **key)
        until(lambda: running(served))
        served.http.delete(f"/jobs/{running(served)[0]}")
        first.result()
    before = len(served.studio.jobs.recent("local", "image", 1000))
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: generate(served, **key), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert len(served.studio.jobs.recent("local", "image", 1000)) == before + 1
