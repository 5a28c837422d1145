"""An account's list of corrections, from PUT to the transcripts of its jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.app.conftest import Served, serve
from tests.engines.speech.media import wav_bytes
from tests.serving import create_api, until

SOUND = b"\x10\x10" * 16_000
"""A second, in which the small engine hears two words."""
ANNA, BEN = "anna-token-0123456789", "ben-token-0123456789"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), create_api, api_tokens=f"anna={ANNA},ben={BEN}")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def transcribed(two: Served, token: str) -> Any:
    sound = {"file": ("a.wav", wav_bytes(data=SOUND * 2), "audio/wav")}
    answer = two.http.post("/v1/audio/transcriptions", files=sound, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    return two.http.get(f"/jobs/{answer.json()['job_id']}", headers=bearer(token)).json()["result"]


def test_a_list_is_the_accounts_own_and_corrects_what_it_sends(two: Served) -> None:
    wanted = {"corrections": [{"heard": "word2 ", "written": "#Carrot", "match_case": False}]}
    put = two.http.put("/corrections", json=wanted, headers=bearer(ANNA))
    assert put.status_code == 200, put.text
    stored = two.http.get("/corrections", headers=bearer(ANNA)).json()
    assert stored == put.json() == {"corrections": [{"heard": "word2", "written": "#Carrot", "match_case": False}]}
    assert two.http.get("/corrections", headers=bearer(BEN)).json() == {"corrections": []}
    mine = transcribed(two, ANNA)
    assert mine["text"] == "word1 #Carrot word3 word4"
    assert mine["corrections"] == [{"start": 0.5, "end": 0.9, "heard": "word2", "written": "#Carrot"}]
    assert transcribed(two, BEN)["text"] == "word1 word2 word3 word4"
    two.http.put("/corrections", json={"corrections": []}, headers=bearer(ANNA))
    assert transcribed(two, ANNA)["corrections"] == []


def test_a_jobs_own_corrections_come_first(two: Served) -> None:
    two.http.put("/corrections", json={"corrections": [{"heard": "word1", "written": "list"}]}, headers=bearer(BEN))
    request = '{"kind": "transcription", "request": {"corrections": [{"heard": "word1", "written": "job"}]}}'
    sound = {"audio": ("a.wav", wav_bytes(data=SOUND), "audio/wav")}
    sent = two.http.post("/jobs/upload", data={"job": request}, files=sound, headers=bearer(BEN))
    assert sent.status_code == 202, sent.text
    status = sent.json()["status_url"]
    until(lambda: two.http.get(status, headers=bearer(BEN)).json()["finished_at"])
    assert two.http.get(status, headers=bearer(BEN)).json()["result"]["text"] == "job word2"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "corrections"),
        ({"corrections": [{"heard": " ", "written": "x"}]}, "corrections.0.heard"),
        ({"corrections": [{"heard": "x" * 101, "written": "x"}]}, "corrections.0.heard"),
        ({"corrections": [{"heard": "x", "written": "x"}] * 501}, "corrections"),
        ({"corrections": [], "more": 1}, "more"),
    ],
)
def test_what_cannot_be_used_is_named(body: Any, field: str, two: Served) -> None:
    refused = two.http.put("/corrections", json=body, headers=bearer(ANNA))
    assert refused.status_code == 422
    assert refused.json()["error"]["field"] == field


def test_live_sessions_are_corrected_where_words_have_settled(two: Served) -> None:
    wanted = {"corrections": [{"heard": "word1", "written": "Anna"}, {"heard": "word3", "written": "three"}]}
    two.http.put("/corrections", json=wanted, headers=bearer(ANNA))
    address = f"{two.url.replace('http', 'ws', 1)}/v1/vosk?sample_rate=16000"
    with connect(address, additional_headers=bearer(ANNA)) as socket:
        told = []
        for _ in range(3):
            socket.send(SOUND[:16_000])
            told.append(json.loads(socket.recv(timeout=20)))
        socket.send('{"eof": 1}')
        last = json.loads(socket.recv(timeout=20))
    assert told[0] == {"partial": "word1"}
    assert (told[1]["text"], last["text"]) == ("Anna word2", "three")
    job = f"/jobs/{last['job_id']}"
    until(lambda: two.http.get(job, headers=bearer(ANNA)).json()["finished_at"])
    shown = two.http.get(f"{job}/transcript", headers=bearer(ANNA)).json()
    assert [item["heard"] for item in shown["corrections"]] == ["word1", "word3"]
    assert two.http.get(f"{job}/captions/txt", headers=bearer(ANNA)).text == "Anna word2 three"
    two.http.put("/corrections", json={"corrections": []}, headers=bearer(ANNA))
