"""The library over HTTP: listed, searched, marked, packed and deleted, by its account alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from app.scopes import Scope
from app.tokens import Tokens
from tests.app.conftest import Served, serve
from tests.app.http.test_jobs import ended, sound
from tests.app.http.test_transcripts import OTHER, TOKEN, transcribed
from tests.serving import create_api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), create_api)


def drawn(served: Served, kind: str = "avatar", **request: Any) -> dict[str, Any]:
    made = served.http.post("/jobs", json={"kind": kind, "request": {"width": 64, "height": 64, **request}})
    assert made.status_code == 202, made.text
    return ended(served, made.json())


def listed(served: Served, **asked: Any) -> list[dict[str, Any]]:
    answer = served.http.get("/jobs", params=asked)
    assert answer.status_code == 200, answer.text
    jobs: list[dict[str, Any]] = answer.json()["jobs"]
    return jobs


def packed(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    with ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_list_has_enough_of_each_to_show_it(api: Served) -> None:
    picture = drawn(api, prompt="a lilac fox", preset="watercolour", seed=7, count=2)
    transcript = transcribed(api, "My lilac talk.wav")
    said, seen = listed(api, q="lilac")
    assert seen == {
        "job_id": picture["job_id"],
        "created_at": picture["created_at"],
        "kind": "avatar",
        "preset": "watercolour",
        "model": "blob",
        "favourite": False,
        "status_url": picture["status_url"],
        "words": "a lilac fox",
        "images": [
            {name: image[name] for name in ("file_id", "seed", "width", "height")}
            for image in picture["result"]["images"]
        ],
    }
    assert said["job_id"] == transcript["job_id"]
    assert (said["kind"], said["filename"], said["language"], said["duration"], said["model"]) == (
        "transcription",
        "My lilac talk.wav",
        "en",
        2.0,
        "echo",
    )
    assert said["beginning"] == "word1 word2 word3 word4"


def test_it_is_found_by_every_word_that_belongs_to_it(api: Served) -> None:
    hero = drawn(
        api, "hero", title="Cyclamen", summary="with a Gänseblümchen", preset="city-night", width=None, height=None
    )
    for words in ("cyclamen", "ganseblumchen", "city at night", "cyclamen gans"):
        assert [job["job_id"] for job in listed(api, q=words)] == [hero["job_id"]], words
    assert listed(api, q="cyclamen", kind="avatar") == []
    assert listed(api, q="cyclamen", kind=["avatar", "hero"], preset="city-night", model="blob") != []
    heard = transcribed(api, "Cyclamen.wav")
    assert [job["kind"] for job in listed(api, q="cyclamen")] == ["transcription", "hero"]
    api.http.put(f"/jobs/{heard['job_id']}/transcript", json={"text": "hyacinth garden"}).raise_for_status()
    [corrected] = listed(api, q="hyacinth")
    assert corrected["beginning"] == "hyacinth garden"
    assert listed(api, q="word3 cyclamen") == []


def test_pages_follow_each_other_and_the_first_tells_what_there_is(api: Served) -> None:
    ids = [drawn(api, prompt=f"a mauve fox {number}", preset="anime")["job_id"] for number in range(3)]
    first = api.http.get("/jobs", params={"q": "mauve", "limit": 2}).json()
    assert ([job["job_id"] for job in first["jobs"]], first["has_more"]) == (ids[:0:-1], True)
    assert "anime" in first["presets"]
    assert "blob" in first["models"]
    second = api.http.get("/jobs", params={"q": "mauve", "limit": 2, "before": ids[1]}).json()
    assert ([job["job_id"] for job in second["jobs"]], second["has_more"]) == (ids[:1], False)


def test_a_favourite_is_marked_and_found(api: Served) -> None:
    job_id = drawn(api, prompt="a beige fox")["job_id"]
    for _ in range(2):
        answer = api.http.put(f"/jobs/{job_id}/favourite")
        assert answer.json() == {"job_id": job_id, "favourite": True}
    assert [job["job_id"] for job in listed(api, favourite=True, q="beige")] == [job_id]
    assert api.http.delete(f"/jobs/{job_id}/favourite").json()["favourite"] is False
    assert listed(api, favourite=True) == []


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"limit": 101}, "limit"), ({"kind": "film"}, "kind"), ({"before": "nothing"}, "before"), ({"q": "x" * 201}, "q")],
)
def test_what_cannot_be_asked_is_refused(api: Served, asked: dict[str, Any], field: str) -> None:
    answer = api.http.get("/jobs", params=asked)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"].partition(".")[0] == field


def test_a_deleted_job_is_gone_with_its_files(api: Served) -> None:
    job = drawn(api, prompt="a teal fox")
    [file] = job["files"]
    assert api.http.delete(f"/jobs/{job['job_id']}").json()["state"] == "succeeded", "cancelling deletes nothing"
    assert api.http.get(file["url"]).status_code == 200
    gone = api.http.delete(f"/jobs/{job['job_id']}?forget=true")
    assert (gone.status_code, gone.json()) == (200, {"job_id": job["job_id"], "deleted": True})
    for path in (f"/jobs/{job['job_id']}", f"/jobs/{job['job_id']}/events", file["url"]):
        assert api.http.get(path).status_code == 404
    assert api.http.delete(f"/jobs/{job['job_id']}?forget=true").status_code == 404
    assert not api.studio.files.path(file["sha256"]).exists()
    assert listed(api, q="teal") == []


def test_a_running_job_is_cancelled_first(api: Served) -> None:
    api.image.gate.clear()
    path = f"/jobs/{api.http.post('/jobs', json={'kind': 'image', 'request': {'prompt': 'x'}}).json()['job_id']}"
    refused = api.http.delete(f"{path}?forget=true")
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "job_unfinished")
    assert "Cancel it first" in refused.json()["error"]["message"]
    assert api.http.put(f"{path}/favourite").status_code == 409
    assert api.http.post("/jobs/zip", json={"ids": [path.rpartition("/")[2]]}).status_code == 409
    api.http.delete(path)
    api.image.gate.set()
    ended(api, api.http.get(path).json())
    assert api.http.delete(f"{path}?forget=true").status_code == 200


def test_several_are_packed_with_all_their_files_and_corrections(api: Served) -> None:
    picture = drawn(api, prompt="a khaki fox", count=2)
    transcript = transcribed(api, "Two names.srt")
    api.http.put(f"/jobs/{transcript['job_id']}/transcript", json={"text": "mended"}).raise_for_status()
    ids = [picture["job_id"], transcript["job_id"], picture["job_id"]]
    answer = api.http.post("/jobs/zip", json={"ids": ids})
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="carrot-studio-')
    files = packed(answer)
    folders = {name.partition("/")[0] for name in files}
    assert sorted(folder[17:] for folder in folders) == [
        f"avatar {picture['job_id'][:6]}",
        f"transcription {transcript['job_id'][:6]}",
    ]
    for file in picture["files"]:
        [found] = [data for name, data in files.items() if name.endswith(f"/{file['name']}")]
        assert found == api.http.get(file["url"]).content
    texts = {name.partition("/")[2]: data for name, data in files.items() if "transcription" in name}
    # The recording is called as one of its captions is.
    assert set(texts) == {f"Two names.{end}" for end in ("srt", "vtt", "txt", "tsv", "json")} | {"Two names 2.srt"}
    assert (texts["Two names.txt"], texts["Two names 2.srt"]) == (b"mended", sound())
    assert b"mended" in texts["Two names.srt"]


def test_what_cannot_be_packed_is_told(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = drawn(api, prompt="x")["job_id"]
    missing = api.http.post("/jobs/zip", json={"ids": [job_id, "nothing"]})
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "job_not_found")
    for ids in ([], [job_id] * 101, "x"):
        answer = api.http.post("/jobs/zip", json={"ids": ids})
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "ids")
    monkeypatch.setattr("app.http.routes.library.MOST_PACKED_BYTES", 100)
    large = api.http.post("/jobs/zip", json={"ids": [job_id]})
    assert (large.status_code, large.json()["error"]["field"]) == (422, "ids")
    assert "choose fewer" in large.json()["error"]["message"]


def test_nobody_else_sees_marks_packs_or_deletes_it(tmp_path: Path) -> None:
    theirs = {"Authorization": f"Bearer {OTHER}"}
    tokens = [f"one={TOKEN}", f"two={OTHER}"]
    for served in serve(tmp_path, create_api, api_tokens=tokens):
        served.http.headers["Authorization"] = f"Bearer {TOKEN}"
        job = drawn(served, prompt="a fox", preset="anime")
        path = f"/jobs/{job['job_id']}"
        empty = {"jobs": [], "has_more": False, "presets": [], "models": []}
        for asked in ({}, {"q": "fox"}, {"kind": "avatar"}, {"model": "blob"}):
            assert served.http.get("/jobs", params=asked, headers=theirs).json() == empty
        for answer in (
            served.http.put(f"{path}/favourite", headers=theirs),
            served.http.delete(f"{path}/favourite", headers=theirs),
            served.http.delete(f"{path}?forget=true", headers=theirs),
            served.http.post("/jobs/zip", json={"ids": [job["job_id"]]}, headers=theirs),
        ):
            assert (answer.status_code, answer.json()["error"]["type"]) == (404, "job_not_found")
        assert [one["favourite"] for one in listed(served, q="fox")] == [False]


def test_a_token_deletes_only_what_it_may_make(tmp_path: Path) -> None:
    _, text = Tokens(tmp_path).create("one", frozenset({Scope.SPEECH}))
    speech = {"Authorization": f"Bearer {text}"}
    for served in serve(tmp_path, create_api, api_tokens=[f"one={TOKEN}"]):
        served.http.headers["Authorization"] = f"Bearer {TOKEN}"
        picture, transcript = drawn(served, prompt="a fox"), transcribed(served)
        refused = served.http.delete(f"/jobs/{picture['job_id']}?forget=true", headers=speech)
        assert (refused.status_code, refused.json()["error"]["type"]) == (403, "forbidden")
        assert served.http.delete(f"/jobs/{transcript['job_id']}?forget=true", headers=speech).status_code == 200
        assert [job["job_id"] for job in listed(served)] == [picture["job_id"]]


def test_what_the_version_before_had_is_listed_as_if_it_were_made_today(tmp_path: Path) -> None:
    for served in serve(tmp_path, create_api):
        drawn(served, prompt="a red fox", preset="watercolour", count=2)
        drawn(served, "hero", title="Ein Mädchen", summary="in 東京", width=None, height=None)
        drawn(served, "image", prompt="x" * 300)
        transcribed(served, "A talk.wav")
        edited = transcribed(served)
        served.http.put(f"/jobs/{edited['job_id']}/transcript", json={"text": "mended\ntext"}).raise_for_status()
        today = served.http.get("/jobs").json()
        assert len(today["jobs"]) == 5
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db:
        words = db.execute("SELECT rowid, words FROM library_words").fetchall()
        for table in ("library", "library_words"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version = 4")
    for served in serve(tmp_path, create_api):
        again = served.http.get("/jobs").json()
        # The addresses have another port.
        for job in (*today["jobs"], *again["jobs"]):
            job.pop("status_url")
        assert again == today
        for asked in ("fox", "madchen 東", "mended", "a talk", "watercolour"):
            assert len(listed(served, q=asked)) == 1, asked
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as db:
            assert len(db.execute("SELECT rowid, words FROM library_words").fetchall()) == len(words)
