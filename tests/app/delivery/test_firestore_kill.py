"""What `kill -9` may not cost: a post's transcript. The studio, its outbox and Firestore's emulator, all real."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.app.delivery.emulator import PROJECT, Emulator
from tests.engines.speech.media import wav_bytes
from tests.serving import process_of, until

if TYPE_CHECKING:
    from google.cloud.firestore import Client

STUDIO = """
import sys
from pathlib import Path
from app.delivery.sender import Schedule
from app.runner import listen, run
from tests.serving import create_api, make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

settings = settings_in(Path(sys.argv[2]), port=int(sys.argv[1]), firebase_project_id=sys.argv[3])
studio = make_studio(settings, BlobEngine(), EchoSpeech(), schedule=Schedule(first=0.01, longest=0.05))
listener = listen("127.0.0.1", settings.port)
app = create_api(studio)
sys.exit(run(app, listener, studio.queue, drain_seconds=60, on_started=lambda: print("started", flush=True)))
"""
POSTS_A_ROUND = 3


def ask(http: httpx.Client, post_id: str, words: int) -> str:
    """The acknowledged job's id."""
    sound = wav_bytes(data=bytes([0, 16]) * 8000 * words)
    job = json.dumps({"kind": "transcription", "request": {"post_id": post_id}})
    answer = http.post("/jobs/upload", files={"job": (None, job), "audio": ("a.wav", sound)})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def all_told(http: httpx.Client) -> bool:
    answer = http.get("/health/ready").json()
    return answer["status"] == "healthy" and all(backlog["waiting"] == 0 for backlog in answer["deliveries"])


@contextmanager
def studio(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    with process_of(STUDIO, str(folder), PROJECT) as (process, url), httpx.Client(base_url=url, timeout=30) as http:
        yield process, http


def kill_and_look(folder: Path, firestore: Client, kills: int, seed: int) -> None:
    """Send posts and kill the studio, so many times; then every post has its transcript, once and whole."""
    chance = random.Random(seed)
    asked: dict[str, str] = {}
    for number in range(kills):
        with studio(folder) as (process, http):
            for post in range(POSTS_A_ROUND):
                post_id = f"kill-{seed}-{number}-{post}"
                asked[post_id] = ask(http, post_id, number % 4 + 1)
            # From before the first line in Firestore to after the last.
            time.sleep(chance.uniform(0, 0.5))
            process.kill()
            process.wait()
    with studio(folder) as (_, http):
        until(lambda: all(http.get(f"/jobs/{job}").json()["finished_at"] for job in asked.values()), 60)
        until(lambda: all_told(http), 60)
        texts = {post: http.get(f"/jobs/{job}").json()["result"]["text"] for post, job in asked.items()}
    for post_id, job_id in asked.items():
        post_now: dict[str, Any] = firestore.document(f"posts/{post_id}").get().to_dict() or {}
        assert (post_now["transcriptionStatus"], post_now["transcriptionJobId"]) == ("completed", job_id)
        assert post_now["transcription"] == texts[post_id]
        transcripts = list(firestore.collection(f"posts/{post_id}/transcripts").stream())
        assert [(found.id, found.get("text")) for found in transcripts] == [(job_id, texts[post_id])]


def test_kills_at_any_moment_lose_nothing_and_leave_nothing_twice(
    tmp_path: Path, emulator: Emulator, firestore: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator.address)
    kill_and_look(tmp_path, firestore, kills=4, seed=0)
