"""The end of the drain, and a repeated Idempotency-Key: what callers hear of work that got no result."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.http.apps import create_app
from app.jobs.model import INTERRUPTED, JobState
from app.jobs.store.opening import open_stores
from engines.errors import OutOfMemory
from engines.types import ImageRequest, ImageResult, ProgressCallback
from tests.app.conftest import Served, serve
from tests.app.http.test_images import held, running, until
from tests.app.ui.test_endpoints import write_sound
from tests.serving import make_studio, process_of, serving, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

KEY = {"Idempotency-Key": "once"}

# A studio as `launch.py` serves it, that never finishes anything.
STUDIO = """
import sys
from pathlib import Path
from threading import Event
from app.listening import listen
from app.logs import set_up_logging
from app.cli.serve import serve_studio
from tests.serving import make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

set_up_logging()
settings = settings_in(Path(sys.argv[2]), port=int(sys.argv[1]), drain_seconds=1)
studio = make_studio(settings, BlobEngine(gate=Event()), EchoSpeech(gate=Event()))
sys.exit(serve_studio(studio, listen("127.0.0.1", settings.port), lambda: print("started", flush=True)))
"""


def endless(folder: Path) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    return process_of(STUDIO, str(folder))


def test_at_the_end_of_the_drain_everybody_who_waits_is_answered(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with endless(tmp_path) as (process, url), httpx.Client(base_url=url, timeout=60) as http:
        answers: dict[str, httpx.Response] = {}
        seen: list[str] = []
        sound = ("a.wav", write_sound(tmp_path_factory.mktemp("sound")).read_bytes())

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
        threads.append(ask_in_background("speech", "POST", "/v1/audio/transcriptions", files={"file": sound}))
        until(lambda: sum(lane["running"] + lane["waiting"] for lane in http.get("/health").json()["lanes"]) == 4)
        [job_id] = [file.name for file in (tmp_path / "uploads").iterdir() if not file.name.startswith("upload-")]
        watching = threading.Event()
        threads.append(threading.Thread(target=watch, args=(url, job_id, watching, seen)))
        threads[-1].start()
        assert watching.wait(60)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        output, _ = process.communicate(timeout=60)
    for name in ("generate", "openai", "speech"):
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
    last_event = json.loads(seen[-1])
    assert (last_event["state"], last_event["error"]["type"]) == ("interrupted", "interrupted")
    stores = open_stores(tmp_path)
    job = stores.jobs.get(job_id)
    assert job is not None
    assert (job.state, job.error) == (JobState.INTERRUPTED, INTERRUPTED)
    stores.close()


def test_an_upload_that_still_comes_in_at_the_end_of_the_drain_is_answered(tmp_path: Path) -> None:
    head = (
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    with endless(tmp_path) as (process, url):
        job = httpx.post(f"{url}/gradio_api/call/avatar", json={"data": ["x"]})
        assert job.status_code == 200
        until(lambda: sum(lane["running"] for lane in httpx.get(f"{url}/health").json()["lanes"]) == 1)
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60) as upload:
            upload.sendall(head)
            until(lambda: list((tmp_path / "uploads").iterdir()))
            process.send_signal(signal.SIGTERM)
            answer = upload.makefile("rb").read().decode()
        output, _ = process.communicate(timeout=60)
    status, _, rest = answer.partition("\r\n")
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert "retry-after: 30" in rest.lower()
    assert '"type":"draining"' in rest
    assert process.returncode == 1
    assert "most recent call last" not in output


def watch(url: str, job_id: str, watching: threading.Event, seen: list[str]) -> None:
    """Collect the data of a job's events; `watching` is set after the first."""
    with httpx.stream("GET", f"{url}/jobs/{job_id}/events", timeout=60) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                seen.append(line.removeprefix("data: "))
                watching.set()


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


class ShortOfMemory(BlobEngine):
    """Fails until `room` is set."""

    room = threading.Event()

    def generate(self, request: ImageRequest, on_progress: ProgressCallback, cancel: threading.Event) -> ImageResult:
        if not self.room.is_set():
            raise OutOfMemory("The device's memory is full. Try again.")
        return BlobEngine.generate(self, request, on_progress, cancel)


def test_after_a_failed_job_the_key_starts_the_work_again(tmp_path: Path) -> None:
    image = ShortOfMemory()
    studio = make_studio(settings_in(tmp_path), image, EchoSpeech())
    with serving(create_app(studio)) as url:

        def generate(prompt: str) -> httpx.Response:
            return httpx.post(f"{url}/generate", json={"prompt": prompt}, headers=KEY, timeout=60)

        assert generate("a red fox").json()["error"]["type"] == "out_of_memory"
        assert generate("another").json()["error"]["type"] == "idempotency_conflict"
        image.room.set()
        assert generate("another").json()["error"]["type"] == "idempotency_conflict"
        made = generate("a red fox")
        assert made.status_code == 200, made.text
        assert generate("a red fox").json()["job_id"] == made.json()["job_id"]


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
