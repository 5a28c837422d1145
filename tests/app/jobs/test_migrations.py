"""A data folder of version 0, opened by today's studio: see tests/data/jobs-v0/README.md."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.jobs.errors import StorageFailed
from app.jobs.store.opening import open_stores
from tests.app.conftest import Served, serve

FIXTURE = Path(__file__).parents[2] / "data" / "jobs-v0"
OWNER = "local"
FOX = {"prompt": "a red fox", "width": 128, "height": 64, "steps": 2, "seed": 7}

KINDS = {
    "a red fox": "hero",  # by its shape
    "two foxes": "avatar",
    "a knight": "avatar",
    "an elf": "avatar",
    "the sea": "hero",
    "cancelled while it runs": "hero",
    "never": "hero",
    "stopped": "avatar",
    "runs": "hero",
    "waits": "hero",
}
"""Words of a picture's prompt -> what its job is today."""


def old_jobs(**where: str) -> list[dict[str, Any]]:
    """What version 0 stored, the oldest first."""
    with closing(sqlite3.connect(f"{FIXTURE.as_uri()}/jobs.db?immutable=1", uri=True)) as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT * FROM jobs WHERE owner = ? ORDER BY created_at", (OWNER,))]
    for row in rows:
        for name in ("request", "result", "files", "error"):
            row[name] = json.loads(row[name] or "null")
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def old_bytes(job: dict[str, Any], file: dict[str, Any]) -> bytes:
    path: Path = FIXTURE / "files" / job["id"][:2] / job["id"] / file["name"]
    return path.read_bytes()


def kind_today(job: dict[str, Any]) -> str:
    if job["kind"] == "speech":
        return "transcription"
    return next(kind for words, kind in KINDS.items() if words in job["request"]["prompt"])


def copy(folder: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, folder / "data"))


@contextmanager
def served_over(data: Path) -> Iterator[Served]:
    """Today's studio; it keeps jobs of any age."""
    yield from serve(data, job_retention_days=0)


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_over(copy(tmp_path_factory.mktemp("migrated"))) as served:
        yield served


@pytest.mark.parametrize("job", old_jobs(), ids=lambda job: job["request"].get("prompt") or job["request"]["filename"])
def test_every_job_is_read_as_what_it_was(today: Served, job: dict[str, Any]) -> None:
    answer = today.http.get(f"/jobs/{job['id']}")
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert got["kind"] == kind_today(job)
    assert (got["created_at"], got["started_at"]) == (job["created_at"], job["started_at"])
    if job["state"] in ("succeeded", "failed", "cancelled"):
        assert (got["state"], got["error"]) == (job["state"], job["error"])
        assert got["finished_at"] == job["finished_at"]
    else:
        assert (got["state"], got["error"]["type"]) == ("failed", "interrupted")
        assert got["error"]["message"] == "The studio stopped before this job finished. Send it again."
    assert_same_request(got["request"], job)
    assert_same_result(got["result"], job["result"])
    assert [file["id"] for file in got["files"]] == [file["id"] for file in job["files"]]


def assert_same_request(got: dict[str, Any], job: dict[str, Any]) -> None:
    old = job["request"]
    if job["kind"] == "speech":
        assert (got["filename"], got["language"]) == (old["filename"], old["language"] or "")
        assert got["audio_sha256"] == old["sha256"]
        return
    for name in ("prompt", "negative_prompt", "width", "height", "num_inference_steps", "count"):
        assert got[name] == old[name], name
    # The words of its preset are in its prompt.
    assert got["preset"] == "none"
    if job["result"] is not None:
        assert got["seed"] == job["result"]["images"][0]["seed"]
    if old["init_image_sha256"] is not None and kind_today(job) == "avatar":
        assert (got["photo_sha256"], got["photo_strength"]) == (old["init_image_sha256"], old["strength"])


def assert_same_result(got: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
    if old is None or got is None:
        assert got is old is None
        return
    if "images" not in old:
        words = [word for segment in got["segments"] for word in segment["words"]]
        assert words == [word for segment in old["segments"] for word in segment["words"]]
        for name in ("text", "duration", "language", "engine", "where", "demo", "note"):
            assert got[name] == old[name], name
        assert got["captions"] == {**old["captions"], "tsv": None, "json": None}
        return
    assert (got["model"], got["demo"], got["seconds"]) == (old["model"], old["demo"], old["seconds"])
    assert len(got["images"]) == len(old["images"])
    for picture, old_picture in zip(got["images"], old["images"], strict=True):
        recipe = dict(old_picture["recipe"])
        photo, strength = recipe.pop("init_image_sha256", None), recipe.pop("strength", None)
        assert picture == {**old_picture, "recipe": {**recipe, "photo_sha256": photo, "photo_strength": strength}}


def test_a_photo_is_told_by_its_recipe(today: Served) -> None:
    [job] = [job for job in old_jobs(state="succeeded") if job["request"].get("init_image_sha256")]
    images = today.http.get(f"/jobs/{job['id']}").json()["result"]["images"]
    told = {(image["recipe"]["photo_sha256"], image["recipe"]["photo_strength"]) for image in images}
    # The job that ran at the end has the same photo, and left it.
    [left] = old_jobs(idempotency_key="runs")
    photo = (FIXTURE / "uploads" / left["id"]).read_bytes()
    assert told == {(hashlib.sha256(photo).hexdigest(), 0.7)}
    assert [image["seed"] for image in images] == [4294967295, 0]


def test_every_file_is_read_byte_for_byte(today: Served) -> None:
    number = 0
    for job in old_jobs():
        for file in job["files"]:
            answer = today.http.get(f"/files/{file['id']}")
            assert answer.status_code == 200, answer.text
            assert answer.content == old_bytes(job, file)
            assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
            assert answer.headers["content-type"].partition(";")[0] == file["media_type"]
            number += 1
    assert number == 13


def test_recent_jobs_are_found_by_their_kind(today: Served) -> None:
    for kind in ("avatar", "hero", "transcription"):
        old = [job["id"] for job in old_jobs(state="succeeded") if kind_today(job) == kind]
        assert len(old) >= 2
        # What other tests have made here is newer.
        assert [job.id for job in today.recent(kind)][-len(old) :] == old[::-1]


def test_somebody_elses_job_stays_theirs(today: Served) -> None:
    with closing(sqlite3.connect(f"{FIXTURE.as_uri()}/jobs.db?immutable=1", uri=True)) as db:
        [(other,)] = db.execute("SELECT id FROM jobs WHERE owner != ?", (OWNER,)).fetchall()
    assert today.http.get(f"/jobs/{other}").status_code == 404
    assert today.job(other, "token-0123456789ab").state == "succeeded"


def test_the_key_of_a_picture_still_gives_that_picture(today: Served) -> None:
    [job] = old_jobs(idempotency_key="generate")
    answer = today.http.post("/generate", json=FOX, headers={"Idempotency-Key": "generate"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["job_id"], answer.json()["seed"]) == (job["id"], 7)
    assert base64.b64decode(answer.json()["image_base64"]) == old_bytes(job, job["files"][0])


def test_the_key_of_several_pictures_still_gives_them(today: Served) -> None:
    [job] = old_jobs(idempotency_key="two")
    body = {"prompt": "two foxes", "n": 2, "size": "64x64", "num_inference_steps": 2, "seed": 5}
    key = {"Idempotency-Key": "two"}
    answer = today.http.post("/v1/images/generations", json=body, headers=key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["job_id"] == job["id"]
    pictures = [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]
    assert pictures == [old_bytes(job, file) for file in job["files"]]
    one = today.http.post("/generate", json={"prompt": "two foxes"}, headers=key)
    assert base64.b64decode(one.json()["image_base64"]) == pictures[0]


def test_the_key_of_a_transcription_still_gives_its_text_and_is_no_pictures(today: Served) -> None:
    [job] = old_jobs(idempotency_key="heard")
    key = {"Idempotency-Key": "heard"}
    sound = today.http.post("/v1/audio/transcriptions", files={"file": ("sound.wav", b"as before")}, headers=key)
    assert (sound.status_code, sound.json()["text"]) == (200, job["result"]["text"])
    picture = today.http.post("/generate", json=FOX, headers=key)
    assert (picture.status_code, picture.json()["error"]["type"]) == (422, "idempotency_conflict")


@pytest.mark.parametrize("key", ["unheard", "never", "stopped", "runs", "waits", "waits too"])
def test_the_key_of_a_job_without_a_result_is_free(today: Served, key: str) -> None:
    [job] = old_jobs(idempotency_key=key)
    headers = {"Idempotency-Key": key}
    first = today.http.post("/generate", json={"prompt": "something else"}, headers=headers)
    assert first.status_code == 200, first.text
    assert first.json()["job_id"] != job["id"]
    again = today.http.post("/generate", json={"prompt": "something else"}, headers=headers)
    assert again.json()["job_id"] == first.json()["job_id"]


def test_nothing_is_left_of_what_could_not_be_run(tmp_path: Path) -> None:
    data = copy(tmp_path)
    assert len(list((data / "uploads").iterdir())) == 3
    with served_over(data):
        assert list((data / "uploads").iterdir()) == []


def state_of(data: Path) -> tuple[list[str], dict[Path, str]]:
    """Everything that is in the database, and the files beside it."""
    with closing(sqlite3.connect(data / "jobs.db")) as db:
        rows = list(db.iterdump())
    files = {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (data / "files").rglob("*") if path.is_file()
    }
    return rows, files


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    data = copy(tmp_path)
    with served_over(data):
        pass
    after_one = state_of(data)
    with served_over(data):
        pass
    assert state_of(data) == after_one


@pytest.mark.parametrize("moves", [0, 1, 6, 12])
def test_a_move_that_fails_costs_nothing_and_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    whole = copy(tmp_path / "whole")
    open_and_close(whole)
    data = copy(tmp_path / "broken-off")
    before = sqlite_rows(data)
    replace = Path.replace
    made: list[Path] = []

    def fail_after(self: Path, target: Path) -> Path:
        made.append(target)
        if len(made) > moves:
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail_after)
        with pytest.raises(StorageFailed, match=r"jobs\.db cannot be opened \(Input/output error\)\. "):
            open_and_close(data)
    assert len(made) == moves + 1
    assert sqlite_rows(data) == before
    open_and_close(data)
    rows, files = state_of(data)
    assert rows == state_of(whole)[0]
    assert sorted(files.values()) == sorted(state_of(whole)[1].values())
    with served_over(data) as served:
        for job in old_jobs():
            for file in job["files"]:
                assert served.http.get(f"/files/{file['id']}").content == old_bytes(job, file)


def sqlite_rows(data: Path) -> list[Any]:
    with closing(sqlite3.connect(data / "jobs.db")) as db:
        return db.execute("SELECT * FROM jobs ORDER BY id").fetchall()


def open_and_close(data: Path) -> None:
    with ExitStack() as opened:
        open_stores(data, opened)


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version = 999",
        "ALTER TABLE jobs ADD COLUMN more TEXT",
        "ALTER TABLE jobs DROP COLUMN files",
        "ALTER TABLE jobs RENAME TO work",
    ],
)
def test_a_database_of_another_version_or_program_is_refused_and_left_alone(tmp_path: Path, change: str) -> None:
    data = copy(tmp_path)
    with closing(sqlite3.connect(data / "jobs.db")) as db:
        db.execute(change)
    before = state_of(data)
    with pytest.raises(StorageFailed) as refused:
        open_and_close(data)
    assert str(refused.value) == (
        f"The database {data}/jobs.db was made by another version of the studio. Start that version, or choose another "
        "folder with STUDIO_DATA_DIR."
    )
    assert state_of(data) == before
