"""What `kill -9` may not cost: a webhook. It may come twice, and is the same message then."""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.app.delivery.receiver import Receiver, receiving
from tests.serving import process_of, until

STUDIO = """
import sys
from pathlib import Path
from app.accounts import Accounts
from app.delivery.sender import Schedule
from app.http.apps import Page, create_studio
from app.runner import listen, run
from tests.serving import make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

secret = "whsec_" + 32 * "A"
settings = settings_in(Path(sys.argv[2]), port=int(sys.argv[1]), webhook_secret=secret, webhook_hosts=sys.argv[3])
engines = BlobEngine(steps=2, step_seconds=0.01), EchoSpeech()
studio = make_studio(settings, *engines, schedule=Schedule(first=0.01, longest=0.05))
app = create_studio(studio, Accounts(), lambda app, studio: Page(lambda: None))
listener = listen("127.0.0.1", settings.port)
sys.exit(run(app, listener, studio.queue, drain_seconds=60, on_started=lambda: print("started", flush=True)))
"""
PICTURE = {"prompt": "a red knight", "width": 256, "height": 256, "preset": "none"}
EVENTS = ["queued", "started", "completed"]


@contextmanager
def studio(folder: Path, origin: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    with process_of(STUDIO, str(folder), origin) as (process, url), httpx.Client(base_url=url, timeout=60) as http:
        yield process, http


def ask(http: httpx.Client, receiver: Receiver, events: list[str]) -> str:
    body = {"kind": "avatar", "request": PICTURE, "webhook": receiver.origin, "webhook_events_filter": events}
    answer = http.post("/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def all_told(http: httpx.Client) -> bool:
    answer = http.get("/health/ready").json()
    waiting: int = answer["deliveries"][0]["waiting"]
    return answer["status"] == "healthy" and waiting == 0


def test_a_kill_between_the_end_and_its_delivery_loses_nothing(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.hang = True
        with studio(tmp_path, receiver.origin) as (process, http):
            job_id = ask(http, receiver, ["completed"])
            until(lambda: receiver.messages)
            # The receiver has it, and the studio does not know.
            process.kill()
            process.wait()
        receiver.hang = False
        receiver.let_go.set()
        with studio(tmp_path, receiver.origin) as (_, http):
            until(lambda: all_told(http))
        first, second = receiver.messages
        assert first.id == second.id
        # Also its addresses, although the studio has another port now: they are those that its sender used.
        assert first.body == second.body
        assert receiver.states(job_id) == ["succeeded"]


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_at_any_moment_loses_nothing_and_keeps_the_order(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with receiving() as receiver:
        receiver.answers = [(chance.choice([204, 500]), {}) for _ in range(30)]
        with studio(tmp_path, receiver.origin) as (process, http):
            jobs = [ask(http, receiver, EVENTS) for _ in range(6)]
            time.sleep(chance.uniform(0, 0.4))
            process.kill()
            process.wait()
        with studio(tmp_path, receiver.origin) as (_, http):
            until(lambda: all_told(http) and all(http.get(f"/jobs/{job}").json()["finished_at"] for job in jobs))
            until(lambda: all_told(http))
    for job in jobs:
        told = receiver.states(job)
        assert told.count("succeeded") == 1
        assert (told[0], told[-1]) == ("queued", "succeeded")
        # Where the kill came between, it waits again, and runs again.
        states = "".join(state[0] for state in told)
        assert re.fullmatch("(qr?)?qrs", states), states
