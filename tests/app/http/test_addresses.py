"""Files at addresses, at every door that takes them: a real file server stands in the place of Firebase Storage."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.app.conftest import Served, serve
from tests.app.http.test_transcriber import transcriber
from tests.engines.speech.media import DATA, wav_bytes
from tests.serving import until
from tests.small_engines import EchoSpeech


@dataclass
class Storage:
    """What it serves lies in `folder`; while `open` is not set it accepts connections and says nothing."""

    folder: Path
    open: threading.Event
    url: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    storage = Storage(tmp_path_factory.mktemp("storage"), threading.Event())
    storage.open.set()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            storage.asked.append(self.path)
            storage.open.wait(30)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    (storage.folder / "anna.wav").write_bytes(wav_bytes(data=bytes([0, 16]) * 16_000))
    (storage.folder / "silence.wav").write_bytes(wav_bytes())
    (storage.folder / "page.html").write_text("<html>sign in</html>")
    Image.new("RGB", (64, 64), "teal").save(storage.folder / "anna.png")
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(storage.folder)))
    http.daemon_threads = True
    storage.url = f"http://127.0.0.1:{http.server_address[1]}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield storage
    storage.open.set()
    http.shutdown()
    http.server_close()


@pytest.fixture(scope="module")
def served(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), fetch_hosts=(storage.url,))


@pytest.fixture(scope="module", params=["studio", "transcriber"])
def service(request: pytest.FixtureRequest, storage: Storage) -> Iterator[httpx.Client]:
    """Both servers have the route."""
    if request.param == "studio":
        yield request.getfixturevalue("served").http
        return
    with transcriber(EchoSpeech(), fetch_hosts=(storage.url,)) as (url, _), httpx.Client(base_url=url) as client:
        yield client


def test_existing_clients_get_what_they_know(service: httpx.Client, storage: Storage) -> None:
    for name in ("audioUrl", "videoUrl"):
        body = {"postId": "p1", name: f"{storage.url}/anna.wav?token=x", "mediaType": "audio"}
        answer = service.post("/transcribe", json=body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert {key: told[key] for key in ("success", "postId", "transcription", "status")} == {
            "success": True,
            "postId": "p1",
            "transcription": "word1 word2",
            "status": "completed",
        }
        assert told["words"][0]["start"] == 0
        assert told["warnings"] == []


def test_silence_is_no_text_and_no_error(service: httpx.Client, storage: Storage) -> None:
    told = service.post("/transcribe", json={"postId": "p", "audioUrl": f"{storage.url}/silence.wav"}).json()
    assert (told["success"], told["transcription"], told["no_speech"]) == (True, "", True)


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({}, 422, "audioUrl", "audioUrl is missing"),
    ({"audioUrl": "https://evil.example/x.wav"}, 422, "audioUrl", "STUDIO_FETCH_HOSTS"),
    ({"videoUrl": "file:///etc/passwd"}, 422, "videoUrl", "https"),
    ({"audioUrl": "STORAGE/gone.wav?token=s3cret"}, 422, "audioUrl", "answers 404"),
    ({"audioUrl": "STORAGE/page.html"}, 422, "audioUrl", ""),
    ({"audioUrl": "STORAGE/anna.wav", "videoUrl": "STORAGE/anna.wav"}, 422, "videoUrl", "one of them"),
    ({"audioUrl": 7}, 422, "audioUrl", "audioUrl is 7"),
    ({"audioUrl": "STORAGE/anna.wav", "language": "tlh"}, 422, "language", "language"),
]


@pytest.mark.parametrize(("sent", "status", "blamed", "said"), REFUSED)
def test_a_failure_has_no_text_and_names_the_senders_own_field(
    service: httpx.Client, storage: Storage, sent: dict[str, Any], status: int, blamed: str, said: str
) -> None:
    body = json.dumps({"postId": "p1", **sent}).replace("STORAGE", storage.url)
    answer = service.post("/transcribe", content=body, headers={"Content-Type": "application/json"})
    told = answer.json()
    assert (answer.status_code, told["success"], told["postId"], told["status"]) == (status, False, "p1", "failed")
    assert told["error"]["field"] == blamed
    assert said in told["error"]["message"]
    assert "transcription" not in told
    assert "s3cret" not in answer.text


def test_a_job_fetches_its_recording_while_nobody_waits(served: Served, storage: Storage) -> None:
    request = {"audio": f"{storage.url}/anna.wav?token=s3cret"}
    answer = served.http.post("/jobs", json={"kind": "transcription", "request": request})
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job_id"]
    until(lambda: served.job(job_id).final)
    done = served.http.get(f"/jobs/{job_id}").json()
    assert (done["state"], done["attempt"], done["result"]["text"]) == ("succeeded", 1, "word1 word2")


def test_the_older_route_answers_at_once_where_that_is_preferred(served: Served, storage: Storage) -> None:
    body = {"postId": "p1", "audioUrl": f"{storage.url}/anna.wav"}
    answer = served.http.post("/transcribe", json=body, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    until(lambda: served.job(answer.json()["job_id"]).final)


def test_an_avatar_is_made_of_a_photo_at_an_address(served: Served, storage: Storage) -> None:
    request = {"prompt": "anna", "photo": f"{storage.url}/anna.png", "photo_strength": 0.5, "seed": 3}
    job_id = served.http.post("/jobs", json={"kind": "avatar", "request": request}).json()["job_id"]
    until(lambda: served.job(job_id).final)
    done = served.http.get(f"/jobs/{job_id}").json()
    assert done["state"] == "succeeded", done
    recipe = done["result"]["images"][0]["recipe"]
    assert recipe["photo_sha256"]
    assert recipe["photo_strength"] == 0.5
    assert done["warnings"] == []


def test_what_is_no_photo_fails_the_avatar_and_names_the_field(served: Served, storage: Storage) -> None:
    request = {"prompt": "anna", "photo": f"{storage.url}/page.html"}
    job_id = served.http.post("/jobs", json={"kind": "avatar", "request": request}).json()["job_id"]
    until(lambda: served.job(job_id).final)
    error = served.http.get(f"/jobs/{job_id}").json()["error"]
    assert (error["field"], error["type"]) == ("photo", "invalid_media")


def test_a_hanging_address_holds_nobody_up_and_can_be_cancelled(served: Served, storage: Storage) -> None:
    storage.open.clear()
    try:
        hanging = [
            served.http.post(
                "/jobs", json={"kind": "transcription", "request": {"audio": f"{storage.url}/anna.wav?{number}"}}
            ).json()
            for number in range(3)
        ]
        until(lambda: len(served.running()) == 3)
        with (DATA / "sentence.wav").open("rb") as file:
            other = served.http.post("/v1/audio/transcriptions", files={"file": file})
        assert other.status_code == 200
        for job in hanging:
            served.http.delete(job["cancel_url"])
        until(lambda: not served.running(), seconds=5)
    finally:
        storage.open.set()
    states = {served.http.get(job["status_url"]).json()["state"] for job in hanging}
    assert states == {"cancelled"}
