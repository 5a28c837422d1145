"""Jobs over HTTP: made without waiting, followed, read again; and what is said of what was sent in vain."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.app.conftest import Served
from tests.serving import until

ASYNC = {"Prefer": "respond-async"}


@contextmanager
def held(served: Served) -> Iterator[None]:
    """While the block runs, no work gets finished."""
    served.image.gate.clear()
    served.speech.gate.clear()
    try:
        yield
    finally:
        served.image.gate.set()
        served.speech.gate.set()


def sound(seconds: int = 2) -> bytes:
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x10\x10" * 8000 * seconds)
    return out.getvalue()


def photo(colour: tuple[int, int, int] = (250, 120, 10)) -> bytes:
    out = BytesIO()
    Image.new("RGB", (300, 200), colour).save(out, "PNG")
    return out.getvalue()


def post(served: Served, body: dict[str, Any], **headers: str) -> httpx.Response:
    return served.http.post("/jobs", json=body, headers=headers)


def ended(served: Served, job: dict[str, Any]) -> dict[str, Any]:
    until(lambda: served.http.get(job["status_url"]).json()["finished_at"])
    seen: dict[str, Any] = served.http.get(job["status_url"]).json()
    return seen


def events_of(stream: httpx.Response) -> list[dict[str, Any]]:
    """Each event's name, id and data."""
    events = []
    for block in "".join(stream.iter_text()).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("avatar", {"prompt": "a red knight", "seed": 5, "preset": "none"}),
        ("hero", {"title": "A red bicycle", "summary": "in the rain", "aspect": "16:9", "seed": 5}),
        ("image", {"prompt": "a red fox", "width": 512, "height": 256, "seed": 5}),
    ],
)
def test_a_job_is_made_at_once_and_its_addresses_lead_to_the_result(
    served: Served, kind: str, request_: dict[str, Any]
) -> None:
    answer = post(served, {"kind": kind, "request": request_, "user": "u-1"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == job["status_url"] == f"{served.url}/jobs/{job['job_id']}"
    assert (job["kind"], job["user"], job["warnings"]) == (kind, "u-1", [])
    assert {**job["request"], **request_} == job["request"]
    done = ended(served, job)
    assert (done["state"], done["attempt"]) == ("succeeded", 1)
    assert done["result"]["images"][0]["seed"] == 5
    assert served.http.get(job["result_url"]).json() == done["result"]
    data = served.http.get(done["files"][0]["url"]).content
    assert Image.open(BytesIO(data)).format == "PNG"


def test_a_file_comes_with_its_job(served: Served) -> None:
    body = {"kind": "avatar", "request": {"prompt": "a knight", "preset": "none", "photo_strength": 0.5}}
    files = {"photo": ("me.png", photo())}
    answer = served.http.post("/jobs/upload", data={"job": json.dumps(body)}, files=files)
    assert answer.status_code == 202, answer.text
    done = ended(served, answer.json())
    assert len(done["request"]["photo_sha256"]) == 64
    picture = Image.open(BytesIO(served.http.get(done["files"][0]["url"]).content))
    assert picture.convert("RGB").getpixel((0, 0)) == (250, 120, 10)

    heard = served.http.post(
        "/jobs/upload", data={"job": '{"kind": "transcription"}'}, files={"audio": ("a.wav", sound())}
    )
    done = ended(served, heard.json())
    assert done["result"]["text"] == "word1 word2 word3 word4"
    assert done["request"]["filename"] == "a.wav"
    assert list(served.studio.files.uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "cat", "request": {}}, "kind"),
        ({"kind": "avatar"}, "request"),
        ({"kind": "avatar", "request": {}}, "prompt"),
        ({"kind": "avatar", "request": {"prompt": "x", "count": 99}}, "count"),
        ({"kind": "avatar", "request": {"prompt": "x", "preset": "nope"}}, "preset"),
        ({"kind": "hero", "request": {"prompt": "x", "aspect": "5:17"}}, "aspect"),
        ({"kind": "hero", "request": {}}, "prompt"),
        ({"kind": "image", "request": {"prompt": "x", "sampler": "nope"}}, "sampler"),
        ({"kind": "image", "request": {"prompt": "x"}, "deadline_seconds": 0}, "deadline_seconds"),
        ({"kind": "image", "request": {"prompt": "x"}, "priority": "soon"}, "priority"),
        ({"kind": "image", "request": {"prompt": "x"}, "user": 7}, "user"),
        ({"kind": "transcription", "request": {}}, "audio"),
    ],
)
def test_a_wrong_job_is_422_with_the_fields_own_name(served: Served, body: dict[str, Any], field: str) -> None:
    answer = post(served, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["field"] == field


@pytest.mark.parametrize(
    ("form", "files", "field"),
    [
        ("no json", {"audio": ("a.wav", b"x")}, "job"),
        ("[]", {"audio": ("a.wav", b"x")}, "job"),
        ('{"kind": "avatar", "request": {"prompt": "x"}}', {"audio": ("a.wav", b"x")}, "audio"),
        ('{"kind": "hero", "request": {"prompt": "x"}}', {"photo": ("a.png", b"x")}, "photo"),
        ('{"kind": "avatar", "request": {"prompt": "x"}}', {"photo": ("a.png", b"no picture")}, "photo"),
    ],
)
def test_a_wrong_form_is_422_and_leaves_nothing_behind(
    served: Served, form: str, files: dict[str, Any], field: str
) -> None:
    answer = served.http.post("/jobs/upload", data={"job": form}, files=files)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field), answer.text
    assert list(served.studio.files.uploads.iterdir()) == []


@pytest.mark.parametrize("path", ["/generate", "/txt2img", "/v1/images/generations"])
def test_the_older_routes_do_not_wait_if_asked(served: Served, path: str) -> None:
    with held(served):
        answer = served.http.post(path, json={"prompt": "a red fox"}, headers=ASYNC)
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "respond-async"
        assert answer.headers["location"] == answer.json()["status_url"]
        waiting = served.http.get(answer.json()["result_url"])
        assert (waiting.status_code, waiting.json()["job_id"]) == (202, answer.json()["job_id"])
    assert ended(served, answer.json())["state"] == "succeeded"


def test_a_transcription_does_not_wait_if_asked(served: Served) -> None:
    answer = served.http.post("/v1/audio/transcriptions", files={"file": ("a.wav", sound())}, headers=ASYNC)
    assert (answer.status_code, answer.json()["kind"]) == (202, "transcription")
    assert ended(served, answer.json())["result"]["segments"][0]["words"][0]["word"] == "word1"


def test_what_was_sent_in_vain_is_said_in_every_answer(served: Served) -> None:
    legacy = served.http.post(
        "/generate", json={"prompt": "x", "batch_size": 4, "n_iter": 2, "sampler_name": "Euler", "use_refiner": True}
    ).json()
    assert {warning["field"] for warning in legacy["warnings"]} == {"batch_size", "n_iter", "sampler_name", "refiner"}
    assert legacy["stages"]["refiner"]["applied"] is False
    images = served.http.post("/v1/images/generations", json={"prompt": "x", "moderation": "low"}).json()
    assert [warning["field"] for warning in images["warnings"]] == ["moderation"]
    request = {"prompt": "x", "promt": "y", "post_id": "p"}
    job = post(served, {"kind": "image", "request": request, "colour": "red"}).json()
    assert [warning["field"] for warning in job["warnings"]] == ["colour", "promt", "post_id"]
    assert "Did you mean 'prompt'?" in job["warnings"][1]["message"]
    assert ended(served, job)["warnings"] == job["warnings"]
    heard = served.http.post(
        "/v1/audio/transcriptions", files={"file": ("a.wav", sound())}, data={"temperature": "0.2"}
    ).json()
    assert [warning["field"] for warning in heard["warnings"]] == ["temperature"]


def test_a_repeated_key_answers_with_the_same_job_and_after_a_cancel_runs_it_again(served: Served) -> None:
    body = {"kind": "avatar", "request": {"prompt": "a knight"}}
    with held(served):
        first = post(served, body, **{"Idempotency-Key": "k1"}).json()
        assert post(served, body, **{"Idempotency-Key": "k1"}).json()["job_id"] == first["job_id"]
        served.http.delete(first["cancel_url"])
        assert ended(served, first)["state"] == "cancelled"
    again = post(served, body, **{"Idempotency-Key": "k1"}).json()
    assert again["job_id"] == first["job_id"]
    assert ended(served, again)["state"] == "succeeded"
    with served.http.stream("GET", again["events_url"]) as stream:
        told = [event["data"]["state"] for event in events_of(stream) if event["event"] == "completed"]
    assert told == ["succeeded"]
    other = post(served, {"kind": "avatar", "request": {"prompt": "a queen"}}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["error"]["type"]) == (422, "idempotency_conflict")


def test_events_tell_place_progress_previews_and_the_end(served: Served) -> None:
    with held(served):
        running = post(served, {"kind": "image", "request": {"prompt": "x"}}).json()
        job = post(served, {"kind": "image", "request": {"prompt": "a red fox", "seed": 3}}).json()
        until(lambda: served.running() == [running["job_id"]])
        before = served.http.get(job["status_url"]).json()
        assert before["progress"]["ahead"] == 1
    with served.http.stream("GET", job["events_url"]) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"
        events = events_of(stream)
    names = [event["event"] for event in events]
    assert names[0] == "queued"
    assert names[-1] == "completed"
    assert {"progress", "preview"} <= set(names)
    assert events[0]["data"]["ahead"] == 1
    steps = [
        event["data"]["step"]
        for event in events
        if event["event"] == "progress" and event["data"]["stage"] == "denoise"
    ]
    assert steps == list(range(1, 9))
    preview = next(event["data"] for event in events if event["event"] == "preview")
    assert preview["image"].startswith("data:image/webp;base64,")
    assert events[-1]["data"]["result"]["images"][0]["seed"] == 3
    assert len({event["id"] for event in events}) == len(events)


def test_a_stream_that_was_cut_off_goes_on_without_loss_or_repetition(served: Served) -> None:
    job = post(served, {"kind": "image", "request": {"prompt": "x"}}).json()
    ended(served, job)
    with served.http.stream("GET", job["events_url"]) as stream:
        whole = events_of(stream)
    for number in (0, len(whole) // 2, len(whole) - 2):
        with served.http.stream("GET", job["events_url"], headers={"Last-Event-ID": whole[number]["id"]}) as stream:
            assert events_of(stream) == whole[number + 1 :]
    last = served.http.get(job["events_url"], headers={"Last-Event-ID": whole[-1]["id"]})
    assert (last.status_code, last.content) == (204, b"")
    assert served.http.get("/jobs/nothing/events").status_code == 404


def test_segments_come_in_the_order_of_the_text_and_before_the_end(served: Served) -> None:
    with held(served):
        files = {"audio": ("a.wav", sound(3))}
        job = served.http.post("/jobs/upload", data={"job": '{"kind": "transcription"}'}, files=files).json()
        heard: list[str] = []
        with served.http.stream("GET", job["events_url"]) as stream:
            name = ""
            for line in stream.iter_lines():
                name = line.removeprefix("event: ") if line.startswith("event: ") else name
                if line.startswith("data: ") and name == "segment":
                    heard.append(json.loads(line.removeprefix("data: "))["text"])
                if len(heard) == 3:
                    break
    assert heard == ["word1 word2", "word3 word4", "word5 word6"]
    assert ended(served, job)["result"]["text"] == " ".join(heard)


def test_a_deadline_ends_a_job_that_waits_and_one_that_runs(served: Served) -> None:
    with held(served):
        running = post(served, {"kind": "image", "request": {"prompt": "x"}, "deadline_seconds": 0.3}).json()
        waiting = post(served, {"kind": "image", "request": {"prompt": "x"}, "deadline_seconds": 0.2}).json()
        for job in (running, waiting):
            done = ended(served, job)
            assert (done["state"], done["error"]["type"]) == ("failed", "deadline_exceeded")
        assert served.http.get(waiting["result_url"]).status_code == 504


def test_users_of_an_account_take_turns_and_batch_work_waits(served: Served) -> None:
    def send(user: str, priority: str = "interactive") -> dict[str, Any]:
        body = {"kind": "image", "request": {"prompt": "x"}, "user": user, "priority": priority}
        job: dict[str, Any] = post(served, body).json()
        return job

    with held(served):
        first = send("ann")
        until(lambda: served.running() == [first["job_id"]])
        jobs = [send("ann", "batch"), send("ann"), send("ann"), send("bob")]
        ahead = [served.http.get(job["status_url"]).json()["progress"]["ahead"] for job in jobs]
    assert ahead == [4, 2, 3, 1]
    started = [ended(served, job)["started_at"] for job in jobs]
    assert sorted(range(4), key=started.__getitem__) == [3, 1, 2, 0]


def test_head_answers_like_get_without_a_body(served: Served) -> None:
    for path in ("/health", "/health/live", "/health/ready"):
        answer = served.http.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    job = ended(served, post(served, {"kind": "image", "request": {"prompt": "x"}}).json())
    answer = served.http.head(job["files"][0]["url"])
    assert (answer.status_code, answer.headers["content-length"]) == (200, str(job["files"][0]["size"]))


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PUT", "/jobs"), ("DELETE", "/generate")])
def test_what_is_not_there_answers_in_the_documented_shape(served: Served, method: str, path: str) -> None:
    answer = served.http.request(method, path)
    assert answer.status_code in (404, 405)
    assert set(answer.json()["error"]) == {"type", "message", "field"}
    assert answer.json().get("success", False) is False


def test_json_is_small(served: Served) -> None:
    answer = served.http.post("/generate", json={"prompt": "x", "unknown": "y" * 2**20})
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "body_too_large")
    assert "1 MB" in answer.json()["error"]["message"]
