"""What `kill -9` may not cost: an acknowledged job. At random moments, with a full disk, with a busy database."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.http.test_jobs import sound
from tests.disks import fill, small_disk
from tests.serving import process_of, until

ROUNDS = 8
WITH_THE_PAGE = 1
"""Rounds that start the whole studio; the page takes most of a start, and has no part in this."""

STUDIO = """
import sys
from pathlib import Path
from app.accounts import Accounts
from app.http.apps import Page, create_studio
from app.runner import listen, run
from tests.serving import make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

settings = settings_in(Path(sys.argv[2]), port=int(sys.argv[1]))
studio = make_studio(settings, BlobEngine(steps=8, step_seconds=0.01), EchoSpeech())
if sys.argv[3] == "page":
    from app.ui.page import add_page
else:
    def add_page(app, studio):
        return Page(lambda: None)
app = create_studio(studio, Accounts(), add_page)
listener = listen("127.0.0.1", settings.port)
sys.exit(run(app, listener, studio.queue, drain_seconds=60, on_started=lambda: print("started", flush=True)))
"""
PICTURE = {"width": 256, "height": 256, "preset": "none"}


@contextmanager
def studio(folder: Path, page: str = "no page") -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    with process_of(STUDIO, str(folder), page) as (process, url), httpx.Client(base_url=url, timeout=60) as http:
        yield process, http


def picture(http: httpx.Client, count: int = 1) -> str:
    body = {"kind": "avatar", "request": {"prompt": "a red knight", "count": count, **PICTURE}}
    answer = http.post("/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def recording(http: httpx.Client) -> str:
    files = {"audio": ("talk.wav", sound())}
    answer = http.post("/jobs/upload", data={"job": '{"kind": "transcription"}'}, files=files)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def query(folder: Path, sql: str, *values: Any) -> list[Any]:
    db = sqlite3.connect(folder / "jobs.db", timeout=30)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def acknowledged(folder: Path, ids: list[str]) -> dict[str, str]:
    """What each job is to do, seed included, as it was stored when it was acknowledged."""
    return {job_id: query(folder, "SELECT work FROM jobs WHERE id = ?", job_id)[0][0] for job_id in ids}


def check_all_is_well(folder: Path, http: httpx.Client, work: dict[str, str]) -> None:
    """Each job succeeded with what was acknowledged; files are whole; nothing is left over."""

    def states() -> set[str]:
        return {http.get(f"/jobs/{job_id}").json()["state"] for job_id in work}

    until(lambda: not states() & {"queued", "running"}, 60)
    for job_id, promised in work.items():
        job = http.get(f"/jobs/{job_id}").json()
        assert job["state"] == "succeeded", job
        if job["kind"] == "avatar":
            wanted = json.loads(promised)
            assert [image["seed"] for image in job["result"]["images"]] == [
                (wanted["seed"] + number) % 2**32 for number in range(wanted["count"])
            ]
        else:
            assert job["result"]["text"] == "word1 word2 word3 word4"
        for file in job["files"]:
            data = http.get(file["url"]).content
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
    ends = query(folder, "SELECT job_id, count(*) FROM events WHERE state = 'succeeded' GROUP BY job_id")
    assert set(ends) == {(job_id, 1) for job_id in work}
    assert list((folder / "uploads").iterdir()) == []
    on_disk = {path.name for path in (folder / "files").rglob("*") if path.is_file()}
    assert on_disk == {row[0] for row in query(folder, "SELECT DISTINCT sha256 FROM files WHERE input = 0")}
    assert query(folder, "SELECT count(*) FROM files WHERE input = 1") == [(0,)]


def keep_asking(http: httpx.Client, pauses: list[float], ids: list[str]) -> None:
    """A picture more after each of these pauses, until nobody answers; `ids` are those that were acknowledged."""
    with suppress(httpx.TransportError):
        for pause in pauses:
            time.sleep(pause)
            ids.append(picture(http))


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_kill_at_any_moment_costs_no_acknowledged_job(tmp_path: Path, number: int) -> None:
    page = "page" if number < WITH_THE_PAGE else "no page"
    chance = random.Random(number)
    with studio(tmp_path, page) as (process, http):
        ids = [picture(http, count=8), *(picture(http) for _ in range(5)), recording(http), recording(http)]
        promised = acknowledged(tmp_path, ids)
        asking = threading.Thread(target=keep_asking, args=(http, [chance.uniform(0, 0.15) for _ in range(4)], ids))
        asking.start()
        time.sleep(chance.uniform(0, 0.7))
        process.kill()
        process.wait()
        asking.join()
    # Of the last one the answer may have got lost.
    work = dict(query(tmp_path, "SELECT id, work FROM jobs"))
    assert set(ids) <= set(work)
    assert promised.items() <= work.items()
    with studio(tmp_path, page) as (_, http):
        check_all_is_well(tmp_path, http, work)


def test_a_kill_with_a_full_disk_costs_no_acknowledged_job(tmp_path: Path) -> None:
    """A result that found no room may have failed its job, in words; nothing is lost, and nothing is left over."""
    with small_disk(tmp_path, "4m"):
        folder = tmp_path / "data"
        with studio(folder) as (process, http):
            work = acknowledged(folder, [picture(http), recording(http), picture(http)])
            ballast = fill(tmp_path)
            refused = http.post("/jobs", json={"kind": "avatar", "request": {"prompt": "x"}})
            assert (refused.status_code, refused.json()["error"]["type"]) == (503, "storage_failed"), refused.text
            assert int(refused.headers["retry-after"]) > 0
            process.kill()
            process.wait()
        ballast.unlink()
        with studio(folder) as (_, http):

            def jobs() -> list[dict[str, Any]]:
                return [http.get(f"/jobs/{job_id}").json() for job_id in work]

            until(lambda: all(job["finished_at"] for job in jobs()), 60)
            for job in jobs():
                assert job["state"] == "succeeded" or job["error"]["type"] == "storage_failed"
            assert list((folder / "uploads").iterdir()) == []


def test_a_database_that_stays_busy_is_told_and_costs_nothing(tmp_path: Path) -> None:
    """Longer than `BUSY_SECONDS`: work that cannot be acknowledged is refused; what was acknowledged goes on."""
    with studio(tmp_path) as (_, http):
        work = acknowledged(tmp_path, [picture(http, count=8), picture(http), recording(http)])
        with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as busy:
            busy.execute("BEGIN IMMEDIATE")
            body = {"kind": "avatar", "request": {"prompt": "x", **PICTURE}}
            refused = http.post("/jobs", json=body)
            assert (refused.status_code, refused.json()["error"]["type"]) == (503, "storage_failed"), refused.text
            assert int(refused.headers["retry-after"]) > 0
            assert refused.json()["error"]["message"].endswith(
                "Another program holds it; try again when that has ended."
            )
        check_all_is_well(tmp_path, http, work)


def test_a_busy_database_delays_and_costs_nothing(tmp_path: Path) -> None:
    with studio(tmp_path) as (_, http):
        work = acknowledged(tmp_path, [picture(http, count=8), picture(http)])
        busy = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None, check_same_thread=False)
        busy.execute("BEGIN IMMEDIATE")
        letting_go = threading.Timer(3.0, busy.execute, args=("ROLLBACK",))
        letting_go.start()
        assert http.get("/health/live", timeout=5).status_code == 200
        late = picture(http)
        letting_go.join()
        busy.close()
        check_all_is_well(tmp_path, http, work | acknowledged(tmp_path, [late]))
