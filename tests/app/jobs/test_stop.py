"""Stops, and repeated Idempotency-Keys: what callers hear of work that got no result yet."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from engines.errors import OutOfMemory
from engines.events import OnEvent
from engines.requests import ImageRequest
from engines.results import ImageResult
from tests.app.conftest import Served, serve
from tests.app.http.test_jobs import held, sound
from tests.serving import create_app, make_studio, process_of, serving, settings_in, until
from tests.small_engines import BlobEngine, EchoSpeech

KEY = {"Idempotency-Key": "once"}

# A studio as `launch.py` serves it. It finishes nothing, or with "steps" each picture after a second.
STUDIO = """
import sys
from pathlib import Path
from threading import Event
from app.accounts import Accounts
from app.cli.serve import serve
from app.logs import set_up_logging
from app.runner import listen
from tests.serving import make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

set_up_logging()
settings = settings_in(Path(sys.argv[2]), port=int(sys.argv[1]), drain_seconds=int(sys.argv[3]))
slow = BlobEngine(step_seconds=0.1) if sys.argv[4] == "slow" else BlobEngine(gate=Event())
studio = make_studio(settings, slow, EchoSpeech(gate=Event()))
listener = listen("127.0.0.1", settings.port)
sys.exit(serve(studio, Accounts(), listener, lambda: print("started", flush=True)))
"""


def endless(folder: Path) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    return process_of(STUDIO, str(folder), "1", "endless")


def unfinished(url: str) -> int:
    workers = httpx.get(f"{url}/health").json()["workers"]
    return sum(worker["running"] + worker["waiting"] for worker in workers)


def test_at_the_end_of_the_drain_everybody_who_waits_is_answered_and_the_work_goes_on_after_it(tmp_path: Path) -> None:
    answers: dict[str, httpx.Response] = {}
    with endless(tmp_path) as (process, url), httpx.Client(base_url=url, timeout=60) as http:

        def ask_in_background(name: str, method: str, path: str, **more: Any) -> threading.Thread:
            def ask() -> None:
                answers[name] = http.request(method, path, **more)

            before = unfinished(url)
            thread = threading.Thread(target=ask)
            thread.start()
            if method == "POST":
                until(lambda: unfinished(url) == before + 1)
            return thread

        threads = [
            ask_in_background("generate", "POST", "/generate", json={"prompt": "x", "seed": 7}, headers=KEY),
            ask_in_background("openai", "POST", "/v1/images/generations", json={"prompt": "y"}),
            ask_in_background("speech", "POST", "/v1/audio/transcriptions", files={"file": ("a.wav", sound())}),
        ]
        event = http.post("/gradio_api/call/avatar", json={"data": ["z"]}).json()["event_id"]
        until(lambda: unfinished(url) == 4)
        threads.append(ask_in_background("gradio", "GET", f"/gradio_api/call/avatar/{event}"))
        threads.append(ask_in_background("events", "GET", f"/jobs/{job_ids(tmp_path)[-1]}/events"))
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        output, _ = process.communicate(timeout=60)
    for name in ("generate", "openai", "speech"):
        answer = answers[name]
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["type"] == "interrupted"
        assert "goes on after the next start" in answer.json()["error"]["message"]
    last = answers["gradio"].text.strip().split("\n\n")[-1]
    assert last.startswith("event: error")
    assert "goes on after the next start" in json.loads(last.partition("data: ")[2])["error"]
    assert "event: queued" in answers["events"].text
    assert "event: completed" not in answers["events"].text
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "most recent call last" not in output
    assert output.splitlines()[-1] == "Stopped after 1 s with work still running."
    for served in serve(tmp_path):
        wait_until_all_ended(served.url)
        states = {job_id: served.http.get(f"/jobs/{job_id}").json()["state"] for job_id in job_ids(tmp_path)}
        assert list(states.values()) == ["succeeded"] * 4
        again = served.http.post("/generate", json={"prompt": "x", "seed": 7}, headers=KEY).json()
        assert (again["job_id"], again["seed"]) == (job_ids(tmp_path)[0], 7)


def wait_until_all_ended(url: str) -> None:
    until(lambda: unfinished(url) == 0, 60)


def job_ids(folder: Path) -> list[str]:
    """In order of arrival."""
    db = sqlite3.connect(folder / "jobs.db")
    rows = db.execute("SELECT id FROM jobs ORDER BY number").fetchall()
    db.close()
    return [row[0] for row in rows]


def test_within_the_drain_what_runs_and_what_waits_is_finished(tmp_path: Path) -> None:
    with process_of(STUDIO, str(tmp_path), "60", "slow") as (process, url), ThreadPoolExecutor() as pool:
        waits = [pool.submit(httpx.post, f"{url}/generate", json={"prompt": "x"}, timeout=60) for _ in range(3)]
        until(lambda: unfinished(url) == 3)
        process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{url}/health").json()["status"] == "draining")
        refused = httpx.post(f"{url}/generate", json={"prompt": "x"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "draining")
        assert [wait.result().status_code for wait in waits] == [200] * 3
        assert process.wait(60) == 0


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Served]:
    yield from serve(tmp_path, max_queue=100)


def test_fifty_clients_that_hang_up_find_their_results(roomy: Served) -> None:
    def leave(seed: int) -> str:
        body = {"kind": "image", "request": {"prompt": "x", "seed": seed}}
        if seed % 2:
            # Made without waiting, and followed for a moment.
            job = roomy.http.post("/jobs", json=body).json()
            with roomy.http.stream("GET", job["events_url"]) as stream:
                next(stream.iter_bytes())
            return str(job["result_url"])
        key = {"Idempotency-Key": f"client {seed}"}
        with pytest.raises(httpx.ReadTimeout):
            roomy.http.post("/generate", json=body["request"], headers=key, timeout=httpx.Timeout(60, read=1.0))
        return key["Idempotency-Key"]

    with held(roomy), ThreadPoolExecutor(50) as pool:
        left = list(pool.map(leave, range(50)))
    wait_until_all_ended(roomy.url)
    for seed, where in enumerate(left):
        if where.startswith("http"):
            found = roomy.http.get(where).json()["images"][0]["seed"]
        else:
            answer = roomy.http.post(
                "/generate", json={"prompt": "x", "seed": seed}, headers={"Idempotency-Key": where}
            )
            found = answer.json()["seed"]
        assert found == seed
    assert len(roomy.recent("image")) == 50


def test_an_upload_that_still_comes_in_at_the_end_of_the_drain_is_answered(tmp_path: Path) -> None:
    head = (
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    with endless(tmp_path) as (process, url):
        job = httpx.post(f"{url}/gradio_api/call/avatar", json={"data": ["x"]})
        assert job.status_code == 200
        until(lambda: unfinished(url) == 1)
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


def generate(served: Served, prompt: str = "a red fox", **headers: str) -> httpx.Response:
    return served.http.post("/generate", json={"prompt": prompt}, headers={**KEY, **headers})


@pytest.fixture
def key(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"Idempotency-Key": request.node.name[:190]}


def test_after_a_cancelled_job_the_key_runs_it_again(served: Served, key: dict[str, str]) -> None:
    with held(served), ThreadPoolExecutor() as pool:
        first = pool.submit(generate, served, **key)
        until(lambda: served.running())
        [job_id] = served.running()
        served.http.delete(f"/jobs/{job_id}")
        assert first.result().status_code == 499
    again = generate(served, **key)
    assert (again.status_code, again.json()["job_id"]) == (200, job_id)
    assert served.http.get(f"/jobs/{job_id}").json()["attempt"] == 2
    assert generate(served, **key).json()["job_id"] == job_id
    assert generate(served, "another", **key).status_code == 422


class ShortOfMemory(BlobEngine):
    """Fails until `room` is set."""

    room = threading.Event()

    def generate(
        self, request: ImageRequest, photo: Path | None, on_event: OnEvent, cancel: threading.Event
    ) -> ImageResult:
        if not self.room.is_set():
            raise OutOfMemory("The device's memory is full. Try again.")
        return BlobEngine.generate(self, request, photo, on_event, cancel)


def test_after_a_failed_job_the_key_runs_it_again(tmp_path: Path) -> None:
    image = ShortOfMemory()
    studio = make_studio(settings_in(tmp_path), image, EchoSpeech())
    with serving(create_app(studio)) as url:

        def generate(prompt: str) -> httpx.Response:
            return httpx.post(f"{url}/generate", json={"prompt": prompt}, headers=KEY, timeout=60)

        assert generate("a red fox").json()["error"]["type"] == "out_of_memory"
        [job_id] = job_ids(tmp_path)
        assert generate("another").json()["error"]["type"] == "idempotency_conflict"
        image.room.set()
        assert generate("another").json()["error"]["type"] == "idempotency_conflict"
        made = generate("a red fox")
        assert (made.status_code, made.json()["job_id"]) == (200, job_id), made.text
        assert generate("a red fox").json()["job_id"] == job_id


def test_fifty_repeats_at_once_make_one_new_run(served: Served, key: dict[str, str]) -> None:
    with held(served), ThreadPoolExecutor() as pool:
        first = pool.submit(generate, served, **key)
        until(lambda: served.running())
        [job_id] = served.running()
        served.http.delete(f"/jobs/{job_id}")
        first.result()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: generate(served, **key), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["job_id"] for answer in answers} == {job_id}
    assert served.http.get(f"/jobs/{job_id}").json()["attempt"] == 2
