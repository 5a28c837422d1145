"""Webhooks through the public door: asked for with POST /jobs, received by a real server, verified by others' code."""

from __future__ import annotations

import base64
import email.utils
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.addresses import AddressList
from app.delivery.errors import DeliveryFailed
from app.delivery.sender import Schedule
from app.delivery.webhook import WebhookDeliverer, fitted
from app.http.views import view_of
from app.jobs.model import Job
from tests.app.conftest import Served
from tests.app.delivery.receiver import Receiver, free_port, receiving, settle
from tests.app.http.test_jobs import held, sound
from tests.serving import create_app, make_studio, serving, settings_in, until
from tests.small_engines import BlobEngine, EchoSpeech

QUICK = Schedule(first=0.005, longest=0.01)
SECRET, NEXT_SECRET = ("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
PICTURE = {"kind": "avatar", "request": {"prompt": "a red knight", "preset": "none"}}
WEB, APP = "web-token-of-enough-characters", "app-token-of-enough-characters"


@pytest.fixture(scope="module")
def down() -> int:
    """A port where nobody listens, until a test does."""
    return free_port()


@pytest.fixture(scope="module")
def running() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def receiver(running: Receiver) -> Receiver:
    running.messages.clear()
    running.answers.clear()
    return running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, running: Receiver, down: int) -> Iterator[Served]:
    settings = settings_in(
        tmp_path_factory.mktemp("data"),
        webhook_secret=f"{SECRET} {NEXT_SECRET}",
        webhook_hosts=f"app.example.com, {running.origin}, http://127.0.0.1:{down}",
        api_tokens=f"web={WEB},app={APP}",
    )
    image, speech = BlobEngine(), EchoSpeech()
    studio = make_studio(settings, image, speech, schedule=QUICK)
    with serving(create_app(studio)) as url:
        served = Served(url, studio, image, speech)
        with served.http:
            served.http.headers["Authorization"] = f"Bearer {WEB}"
            yield served


def make(served: Served, address: str, *events: str, **more: Any) -> dict[str, Any]:
    body = {**PICTURE, "webhook": address, **({"webhook_events_filter": list(events)} if events else {}), **more}
    answer = served.http.post("/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def ready(served: Served) -> dict[str, Any]:
    answer = served.http.get("/health/ready").json()
    (webhooks,) = answer["deliveries"]
    assert webhooks["name"] == "webhook"
    return dict(webhooks)


def test_the_end_is_told_as_the_job_is_read(served: Served, receiver: Receiver) -> None:
    job = make(served, f"{receiver.origin}/hook?key=mine")
    until(lambda: receiver.messages)
    (message,) = receiver.messages
    assert message.path == "/hook?key=mine"
    assert message.headers["content-type"] == "application/json"
    told = message.json
    assert told["type"] == "job.completed"
    read = served.http.get(job["status_url"]).json()
    assert told["data"] == {**read, "omitted": []}
    assert served.http.get(told["data"]["files"][0]["url"]).headers["content-type"] == "image/png"
    # Of the address nothing is shown that may be secret.
    assert read["webhook"] == f"{receiver.origin}/hook"
    assert read["webhook_events_filter"] == ["completed"]
    until(lambda: ready(served)["waiting"] == 0)
    assert len(receiver.messages) == 1


@pytest.mark.parametrize("secret", [SECRET, NEXT_SECRET], ids=["current", "next"])
def test_python_verifies_it_with_either_secret(served: Served, receiver: Receiver, secret: str) -> None:
    make(served, receiver.origin)
    until(lambda: receiver.messages)
    (message,) = receiver.messages
    assert Webhook(secret).verify(message.body, message.headers)["type"] == "job.completed"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(message.body.replace(b"knight", b"knave"), message.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(message.body, {**message.headers, "webhook-id": "msg_other"})


def test_node_verifies_it(served: Served, receiver: Receiver, tmp_path: Path) -> None:
    for file in (Path(__file__).parent / "js").iterdir():
        shutil.copy(file, tmp_path)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=tmp_path, check=True, timeout=240)
    job = make(served, receiver.origin)
    until(lambda: receiver.messages)
    (message,) = receiver.messages
    sent = json.dumps({"headers": message.headers, "body": message.body.decode()})

    def verify(text: str) -> subprocess.CompletedProcess[str]:
        command = ["node", "verify.mjs", NEXT_SECRET]
        return subprocess.run(command, cwd=tmp_path, input=text, capture_output=True, text=True, timeout=60)

    good = verify(sent)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout) == {"type": "job.completed", "jobId": job["job_id"]}
    assert "WebhookVerificationError" in verify(sent.replace("knight", "knave")).stderr


def test_each_event_is_told_in_order_if_it_is_asked_for(served: Served, receiver: Receiver) -> None:
    receiver.answers = [(500, {}), (302, {"Location": f"{receiver.origin}/elsewhere"}), (429, {"Retry-After": "0"})]
    job = make(served, receiver.origin, "completed", "queued", "started")
    until(lambda: len(receiver.messages) == 6)
    assert receiver.states(job["job_id"]) == ["queued", "running", "succeeded"]
    types = [message.json["type"] for message in receiver.messages]
    assert types == ["job.queued"] * 4 + ["job.started", "job.completed"]
    # The same message is the same message however often it is sent, and no redirect was followed.
    assert len(set(receiver.ids())) == 3
    assert {message.path for message in receiver.messages} == {"/"}


def test_a_failure_and_a_cancellation_are_ends_too(served: Served, receiver: Receiver) -> None:
    with held(served):
        first, second = make(served, receiver.origin), make(served, receiver.origin)
        served.http.delete(second["cancel_url"])
        served.http.delete(first["cancel_url"])
        until(lambda: len(receiver.messages) == 2)
    for message in receiver.messages:
        assert (message.json["data"]["state"], message.json["data"]["error"]["type"]) == ("cancelled", "cancelled")


def test_a_job_with_a_file_has_webhooks_too_and_a_long_text_is_left_behind_its_address(
    served: Served, receiver: Receiver
) -> None:
    body = json.dumps({"kind": "transcription", "webhook": receiver.origin})
    files = {"audio": ("a.wav", sound(300))}
    job = served.http.post("/jobs/upload", data={"job": body}, files=files).json()
    until(lambda: receiver.messages)
    (message,) = receiver.messages
    assert len(message.body) < 20_000
    told = message.json["data"]
    whole = served.http.get(job["result_url"]).json()
    assert told["omitted"] == ["result.segments"]
    assert {**told["result"], "segments": whole["segments"]} == whole
    assert told["result_url"] == job["result_url"]


def test_a_receiver_that_is_down_is_told_when_it_is_back(served: Served, down: int) -> None:
    job = make(served, f"http://127.0.0.1:{down}")
    until(lambda: ready(served)["problem"] == "the receiver could not be reached")
    backlog = ready(served)
    assert (backlog["waiting"], backlog["dead"]) == (1, 0)
    # It is not the studio's fault.
    assert served.http.get("/health/ready").status_code == 200
    with receiving(down) as receiver:
        until(lambda: receiver.messages)
        assert receiver.states(job["job_id"]) == ["succeeded"]
        until(lambda: ready(served)["waiting"] == 0)
    assert ready(served)["problem"] == ""


def test_an_address_that_is_gone_is_not_called_any_more_by_this_account(served: Served, receiver: Receiver) -> None:
    receiver.answers = [(410, {})]
    address = f"{receiver.origin}/gone"
    make(served, address)
    until(lambda: ready(served)["dead"] == 1)
    make(served, address)
    until(lambda: ready(served)["dead"] == 2)
    assert len(receiver.messages) == 1
    assert "410 Gone" in ready(served)["problem"]
    # Another account's receiver may be another program behind the same address.
    body = {**PICTURE, "webhook": address}
    served.http.post("/jobs", json=body, headers={"Authorization": f"Bearer {APP}"}).raise_for_status()
    until(lambda: len(receiver.messages) == 2)


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"webhook": "https://other.example.com/"}, "webhook", "STUDIO_WEBHOOK_HOSTS"),
        ({"webhook": "http://app.example.com/"}, "webhook", "https://"),
        ({"webhook": "https://app.example.com:8443/"}, "webhook", "port"),
        ({"webhook": "https://me:secret@app.example.com/"}, "webhook", "password"),
        ({"webhook": "https://app.example.com@evil.example/"}, "webhook", "password"),
        ({"webhook": "https://app.example.com.evil.example/"}, "webhook", "STUDIO_WEBHOOK_HOSTS"),
        ({"webhook": "http://127.0.0.1:1/"}, "webhook", "https"),
        ({"webhook": "file:///etc/passwd"}, "webhook", "address"),
        ({"webhook": "app.example.com"}, "webhook", "address"),
        ({"webhook": "https://app.example.com/\n"}, "webhook", "address"),
        ({"webhook": "https://app.example.com/" + 2000 * "x"}, "webhook", "2000"),
        ({"webhook": 5}, "webhook", "webhook is 5"),
        ({"webhook_events_filter": ["finished"]}, "webhook_events_filter.0", "completed"),
        ({"webhook_events_filter": []}, "webhook_events_filter", "webhook_events_filter"),
    ],
)
def test_what_cannot_be_told_is_refused(served: Served, fields: dict[str, Any], field: str, says: str) -> None:
    answer = served.http.post("/jobs", json={"webhook": "https://app.example.com/", **PICTURE, **fields})
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["field"] == field, error
    assert says in error["message"]
    assert "secret@" not in error["message"]


def test_without_a_secret_there_are_no_webhooks(tmp_path: Path) -> None:
    studio = make_studio(settings_in(tmp_path, webhook_hosts="app.example.com"), BlobEngine(), EchoSpeech())
    with serving(create_app(studio)) as url:
        upload = httpx.post(
            f"{url}/jobs/upload",
            data={"job": '{"kind": "transcription", "webhook": "https://app.example.com/"}'},
            files={"audio": ("a.wav", sound())},
        )
        plain = httpx.post(f"{url}/jobs", json={**PICTURE, "webhook": "https://app.example.com/"})
        for answer in (upload, plain):
            assert answer.status_code == 422
            assert answer.json()["error"]["field"] == "webhook"
            assert "STUDIO_WEBHOOK_SECRET" in answer.json()["error"]["message"]
    assert list((tmp_path / "uploads").iterdir()) == []


class NeverGone:
    def add(self, account: str, address: str, at: float) -> None:
        raise AssertionError

    def since(self, account: str, address: str) -> float | None:
        return None


@pytest.fixture
def done(served: Served, receiver: Receiver) -> Job:
    """A job that succeeded, with a webhook."""
    job = make(served, receiver.origin)
    until(lambda: receiver.messages)
    receiver.messages.clear()
    return served.job(job["job_id"], "web")


def deliver(receiver: Receiver, job: Job, patience: float = 0.3) -> DeliveryFailed:
    """How the delivery of the job failed."""
    with httpx.Client(trust_env=False) as client:
        deliverer = WebhookDeliverer(
            client,
            [SECRET],
            AddressList([receiver.origin], "X"),
            NeverGone(),
            view_of,
            patience=patience,
        )
        with pytest.raises(DeliveryFailed) as failed:
            deliverer.deliver(job, "msg_1")
        return failed.value


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_a_receiver_gets_a_bounded_time_however_it_spends_it(receiver: Receiver, done: Job, way: str) -> None:
    with receiving(free_port()) as slow:
        setattr(slow, way, True)
        assert done.webhook is not None
        webhook = type(done.webhook)(slow.origin, done.webhook.events, done.webhook.base_url)
        failure = deliver(slow, done.with_(webhook=webhook))
        assert str(failure) == "the receiver did not answer within 0.3 s"
        assert len(slow.messages) == 1


@pytest.mark.parametrize(("said", "seconds"), [("120", 120), ("date", 600), ("soon", None), ("-5", None)])
def test_the_receivers_wish_is_understood(receiver: Receiver, done: Job, said: str, seconds: float | None) -> None:
    if said == "date":
        said = email.utils.formatdate(time.time() + 600, usegmt=True)
    receiver.answers = [(503, {"Retry-After": said})]
    failure = deliver(receiver, done, patience=15)
    assert str(failure) == "the receiver answered 503"
    assert failure.wait_seconds == (None if seconds is None else pytest.approx(seconds, abs=60))


def test_a_message_is_made_to_fit_by_its_largest_fields() -> None:
    data: dict[str, Any] = {
        "job_id": "1",
        "result": {"text": "ä" * 9000, "segments": ["x" * 30_000]},
        "request": {"prompt": "y" * 5000},
        "error": None,
    }
    made = json.loads(fitted({"type": "job.completed", "data": data}))
    assert made["data"]["omitted"] == ["result.segments", "result.text"]
    assert made["data"]["request"] == data["request"]
    assert made["data"]["result"] == {}
    assert json.loads(fitted({"data": {"result": None, "request": {}}}))["data"]["result"] is None


def test_prometheus_reads_jobs_workers_and_the_backlog(served: Served, receiver: Receiver) -> None:
    make(served, receiver.origin)
    until(lambda: receiver.messages)
    until(lambda: ready(served)["waiting"] == 0)
    answer = served.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    for line in (
        'studio_worker_state{state="ready",worker="image"} 1.0',
        'studio_queue_length{worker="image"} 0.0',
        'studio_outbox_waiting{deliverer="webhook"} 0.0',
    ):
        assert line in lines, answer.text
    ended = [line for line in lines if line.startswith('studio_jobs_ended_total{kind="avatar",state="succeeded"}')]
    assert float(ended[0].split()[1]) >= 1
    assert any(line.startswith('studio_job_run_seconds_bucket{kind="avatar",le="1.0"}') for line in lines)
    with held(served):
        make(served, receiver.origin)
        until(lambda: 'studio_jobs{kind="avatar",state="running"} 1.0' in served.http.get("/metrics").text)
    # Its message is not to come in the next test.
    until(lambda: len(receiver.messages) == 2)
    assert httpx.get(f"{served.url}/metrics").status_code == 401


def test_nothing_more_comes_once_it_arrived(served: Served, receiver: Receiver) -> None:
    make(served, receiver.origin)
    until(lambda: receiver.messages)
    settle()
    assert len(receiver.messages) == 1
