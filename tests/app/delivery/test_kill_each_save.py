"""What `kill -9` may not cost, at every place where it could: before and after each thing that the studio saves, from a
job's acknowledgement to its last delivery."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.app.delivery.emulator import PROJECT, Emulator
from tests.app.delivery.receiver import Receiver, receiving
from tests.engines.speech.media import wav_bytes
from tests.serving import process_of, until

if TYPE_CHECKING:
    from google.cloud.firestore import Client

STUDIO = """
import itertools, os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from app.delivery.sender import Schedule
from app.jobs.store.database import Database
from app.runner import listen, run
from tests.serving import create_api, make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

port, folder, project, receiver, last, side = sys.argv[1:]
write, saved, counting = Database.write, itertools.count(1), []
signal.signal(signal.SIGUSR1, lambda *_: counting.append(True))

@contextmanager
def write_and_die(self, **durable):
    dies = False
    with write(self, **durable) as db:
        yield db
        dies = bool(counting) and next(saved) == int(last)
        if dies and side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)

Database.write = write_and_die
secret = "whsec_" + 32 * "A"
settings = settings_in(
    Path(folder), port=int(port), firebase_project_id=project, webhook_secret=secret, webhook_hosts=receiver
)
studio = make_studio(settings, BlobEngine(), EchoSpeech(), schedule=Schedule(first=0.01, longest=0.05))
app, listener = create_api(studio), listen("127.0.0.1", settings.port)
sys.exit(run(app, listener, studio.queue, drain_seconds=60, on_started=lambda: print("started", flush=True)))
"""
EVENTS = ["queued", "started", "completed"]
FEWEST_SAVES = 8
"""Acknowledged, begun, ended, and told: five lines in two places."""


@contextmanager
def studio(
    folder: Path, receiver: Receiver, last: int = 0, side: str = "after"
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """One that dies at its save number `last`, counted from when it is asked to count."""
    with (
        process_of(STUDIO, str(folder), PROJECT, receiver.origin, str(last), side) as (process, url),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        yield process, http


def ask(http: httpx.Client, receiver: Receiver, post_id: str) -> str:
    """The acknowledged job's id. The same post is the same job, however often it is asked for."""
    job = {
        "kind": "transcription",
        "request": {"post_id": post_id},
        "webhook": receiver.origin,
        "webhook_events_filter": EVENTS,
    }
    sound = wav_bytes(data=bytes([0, 16]) * 8000)
    answer = http.post(
        "/jobs/upload",
        files={"job": (None, json.dumps(job)), "audio": ("a.wav", sound)},
        headers={"Idempotency-Key": post_id},
    )
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def all_told(http: httpx.Client) -> bool:
    answer = http.get("/health/ready").json()
    return answer["status"] == "healthy" and all(backlog["waiting"] == 0 for backlog in answer["deliveries"])


def finish(http: httpx.Client, receiver: Receiver, post_id: str) -> str:
    """Ask again, as a client does that heard nothing, and wait for everything."""
    job_id = ask(http, receiver, post_id)
    until(lambda: http.get(f"/jobs/{job_id}").json()["finished_at"] and all_told(http), 60)
    assert http.get(f"/jobs/{job_id}").json()["state"] == "succeeded"
    return job_id


def look(firestore: Client, receiver: Receiver, post_id: str, job_id: str) -> None:
    """The post has its transcript, once, and the receiver heard of it, in order."""
    post: dict[str, Any] = firestore.document(f"posts/{post_id}").get().to_dict() or {}
    assert (post["transcriptionStatus"], post["transcriptionJobId"]) == ("completed", job_id)
    transcripts = list(firestore.collection(f"posts/{post_id}/transcripts").stream())
    assert [(found.id, found.get("text")) for found in transcripts] == [(job_id, post["transcription"])]
    states = "".join(state[0] for state in receiver.states(job_id))
    assert re.fullmatch("(qr?)?qrs", states), states


def test_a_kill_at_each_save_loses_nothing_and_leaves_nothing_twice(
    tmp_path: Path, emulator: Emulator, firestore: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator.address)
    killed: list[tuple[int, str]] = []
    asked = ""
    with receiving() as receiver:
        for number, side in ((number, side) for number in range(1, 100) for side in ("before", "after")):
            with studio(tmp_path, receiver, number, side) as (process, http):
                if asked:
                    look(firestore, receiver, asked, finish(http, receiver, asked))
                # By its folder too: the emulator keeps what an earlier try of this test has left.
                asked = f"{tmp_path.name}-{number}-{side}"
                process.send_signal(signal.SIGUSR1)
                try:
                    finish(http, receiver, asked)
                except httpx.TransportError:
                    assert process.wait(30) == -signal.SIGKILL
                    killed.append((number, side))
                else:
                    break  # It has no save of this number.
        else:
            raise AssertionError("it never stops saving")
    assert len(killed) >= 2 * FEWEST_SAVES, killed
