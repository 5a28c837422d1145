"""Reading along and correcting over HTTP: who may, what is kept, and what comes out as captions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import srt
import webvtt

from tests.app.conftest import Served, serve
from tests.app.http.test_jobs import ended, sound
from tests.serving import create_api, make_studio, serving, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

TOKEN, OTHER = "a-token-of-enough-characters", "another-token-long-enough-too"
HEARD = "word1 word2 word3 word4"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), create_api)


def transcribed(served: Served, name: str = "My talk.wav", **request: Any) -> dict[str, Any]:
    body = json.dumps({"kind": "transcription", "request": {"keep_audio": True, **request}})
    files = {"audio": (name, sound())}
    made = served.http.post("/jobs/upload", data={"job": body}, files=files)
    assert made.status_code == 202, made.text
    return ended(served, made.json())


def spelled(view: dict[str, Any]) -> str:
    return "\n".join(" ".join(word for word, *_ in part["words"]) for part in view["paragraphs"])


def test_a_transcript_has_timed_words_by_paragraphs(api: Served) -> None:
    job = transcribed(api)
    view = api.http.get(f"/jobs/{job['job_id']}/transcript").json()
    assert spelled(view) == HEARD == job["result"]["text"]
    assert view["paragraphs"][0]["words"][0] == ["word1", 0.0, 0.4, 1.0]
    assert (view["filename"], view["edited"], view["revision"], view["duration"]) == ("My talk.wav", False, 0, 2.0)


def test_the_recording_can_be_heard_in_parts(api: Served) -> None:
    view = api.http.get(f"/jobs/{transcribed(api)['job_id']}/transcript").json()
    whole = api.http.get(f"/files/{view['audio_file_id']}")
    assert whole.content == sound()
    assert whole.headers["content-type"] in ("audio/wav", "audio/x-wav"), "as this machine calls it"
    assert whole.headers["content-disposition"] == 'inline; filename="My talk.wav"'
    part = api.http.get(f"/files/{view['audio_file_id']}", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, sound()[100:200])


def test_a_recording_is_never_served_as_something_that_a_browser_runs(api: Served) -> None:
    for name in ("page.html", "picture.svg", "script.js", "no ending"):
        view = api.http.get(f"/jobs/{transcribed(api, name)['job_id']}/transcript").json()
        answer = api.http.get(f"/files/{view['audio_file_id']}")
        assert answer.headers["content-type"] == "application/octet-stream"


def test_a_recording_is_gone_unless_it_was_to_be_kept(api: Served) -> None:
    job = transcribed(api, keep_audio=False, filename="once.wav")
    view = api.http.get(f"/jobs/{job['job_id']}/transcript").json()
    assert view["audio_file_id"] is None
    assert [file["name"] for file in job["files"]] == [f"once.{end}" for end in ("srt", "vtt", "txt", "tsv", "json")]


def test_a_kept_recording_survives_a_restart_and_goes_with_its_job(tmp_path: Path) -> None:
    for served in serve(tmp_path, create_api):
        job_id = transcribed(served)["job_id"]
        served.http.put(f"/jobs/{job_id}/transcript", json={"text": "mended"}).raise_for_status()
    studio = make_studio(settings_in(tmp_path), BlobEngine(), EchoSpeech())
    with serving(create_api(studio)) as url, httpx.Client(base_url=url) as http:
        view = http.get(f"/jobs/{job_id}/transcript").json()
        assert spelled(view) == "mended"
        assert http.get(f"/files/{view['audio_file_id']}").content == sound()
        assert studio.queue.library.prune(-1) == 1
        assert http.get(f"/files/{view['audio_file_id']}").status_code == 404
        assert not studio.files.any()


def test_a_correction_is_kept_beside_what_was_heard(api: Served) -> None:
    job_id = transcribed(api)["job_id"]
    text = "Word1, carrot\nword3 word4"
    saved = api.http.put(f"/jobs/{job_id}/transcript", json={"text": text, "revision": 0})
    assert saved.status_code == 200, saved.text
    read = api.http.get(f"/jobs/{job_id}/transcript").json()
    assert saved.json() == read
    assert (read["edited"], read["revision"], spelled(read)) == (True, 1, text)
    words = [word for part in read["paragraphs"] for word in part["words"]]
    assert [word[1:3] for word in words] == [[0.0, 0.4], [0.5, 0.9], [1.0, 1.4], [1.5, 1.9]]
    assert [word[3] for word in words[:2]] == [1.0, 1.0]
    assert spelled(api.http.get(f"/jobs/{job_id}/transcript?original=true").json()) == HEARD
    assert api.http.get(f"/jobs/{job_id}/result").json()["text"] == HEARD
    back = api.http.delete(f"/jobs/{job_id}/transcript").json()
    assert (back["edited"], spelled(back)) == (False, HEARD)


def test_captions_follow_the_correction(api: Served) -> None:
    job_id = transcribed(api)["job_id"]
    api.http.put(f"/jobs/{job_id}/transcript", json={"text": "one two\nthree four"}).raise_for_status()

    def captions(form: str) -> str:
        answer = api.http.get(f"/jobs/{job_id}/captions/{form}")
        assert answer.headers["content-disposition"] == f'attachment; filename="My talk.{form}"'
        return answer.text

    [cue] = srt.parse(captions("srt"))
    assert cue.content == "one two three four"
    assert [cue.text for cue in webvtt.from_buffer(StringIO(captions("vtt")), format="vtt").captions] == [
        "one two three four"
    ]
    assert captions("txt") == "one two\nthree four"
    assert captions("tsv").splitlines()[1:] == ["0\t900\tone two", "1000\t1900\tthree four"]
    assert [part["text"] for part in json.loads(captions("json"))["segments"]] == ["one two", "three four"]
    original = api.http.get(f"/jobs/{job_id}/captions/txt?original=true").text
    assert original == HEARD


def test_two_who_correct_at_once_do_not_overwrite_each_other(api: Served) -> None:
    path = f"/jobs/{transcribed(api)['job_id']}/transcript"
    assert api.http.put(path, json={"text": "mine", "revision": 0}).status_code == 200
    late = api.http.put(path, json={"text": "yours", "revision": 0})
    assert (late.status_code, late.json()["error"]["type"]) == (412, "edit_conflict")
    assert spelled(api.http.get(path).json()) == "mine"
    api.http.delete(path).raise_for_status()
    # Taken back is a change as well.
    assert api.http.put(path, json={"text": "yours", "revision": 0}).status_code == 412


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "text"), ({"text": " \n "}, "text"), ({"text": 7}, "text"), ({"text": "x", "revision": -1}, "revision")],
)
def test_a_wrong_correction_is_refused(api: Served, body: dict[str, Any], field: str) -> None:
    answer = api.http.put(f"/jobs/{transcribed(api)['job_id']}/transcript", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


def test_what_has_no_transcript_is_told(api: Served) -> None:
    picture = api.http.post("/jobs", json={"kind": "image", "request": {"prompt": "x"}}).json()
    answer = api.http.get(f"/jobs/{picture['job_id']}/transcript")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "no_transcript")
    assert "of kind image" in answer.json()["error"]["message"]


def test_names_of_all_languages_are_kept_and_nothing_else(api: Served) -> None:
    job_id = transcribed(api, "Grüße an alle.mp3")["job_id"]
    header = api.http.get(f"/jobs/{job_id}/captions/srt").headers["content-disposition"]
    plain, _, encoded = header.partition("; filename*=UTF-8''")
    assert plain == 'attachment; filename="Gr__e an alle.srt"'
    assert unquote(encoded) == "Grüße an alle.srt"
    for name in ("../../etc/passwd.wav", "...", "a\\b.wav", f"{'ü' * 190}.wav"):
        job = transcribed(api, filename=name)
        names = [file["name"] for file in job["files"]]
        assert all(len(name.encode()) < 200 and not name.startswith(".") for name in names)
        assert not any(mark in name for name in names for mark in "/\\")


def test_openais_route_gives_tsv_and_names_its_captions(api: Served) -> None:
    def ask(form: str) -> Any:
        files = {"file": ("My talk.wav", sound())}
        return api.http.post("/v1/audio/transcriptions", files=files, data={"response_format": form})

    assert ask("tsv").text == "start\tend\ttext\n0\t900\tword1 word2\n1000\t1900\tword3 word4\n"
    assert ask("srt").headers["content-disposition"] == 'inline; filename="My talk.srt"'


def test_nobody_else_reads_or_corrects_it(tmp_path: Path) -> None:
    for served in serve(tmp_path, create_api, api_tokens=[f"one={TOKEN}", f"two={OTHER}"]):
        served.http.headers["Authorization"] = f"Bearer {TOKEN}"
        job_id = transcribed(served)["job_id"]
        paths = (f"/jobs/{job_id}/transcript", f"/jobs/{job_id}/captions/srt", f"/files/{job_id}-kept_audio")
        for path in paths:
            assert served.http.get(path).status_code == 200
            assert served.http.get(path, headers={"Authorization": f"Bearer {OTHER}"}).status_code == 404
        for method in ("PUT", "DELETE"):
            answer = served.http.request(
                method, paths[0], json={"text": "stolen"}, headers={"Authorization": f"Bearer {OTHER}"}
            )
            assert answer.status_code == 404
        assert spelled(served.http.get(paths[0]).json()) == HEARD
