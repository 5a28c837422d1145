"""Vocabulary and speakers from a request to its answer, over HTTP and over the socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.audio import TranscriptionTextSegmentEvent
from websockets.sync.client import connect

from tests.app.conftest import Served, serve
from tests.app.http.test_live import closed
from tests.engines.speech.media import wav_bytes
from tests.serving import create_api, until

SOUND = b"\x10\x10" * 32_000
"""Two seconds, in which the small engine hears four words."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), create_api)


def transcribed(served: Served, **fields: Any) -> Any:
    sound = {"file": ("a.wav", wav_bytes(data=SOUND), "audio/wav")}
    return served.http.post("/v1/audio/transcriptions", data=fields, files=sound)


@pytest.mark.parametrize(
    "fields",
    [{"vocabulary": "word2\r\n word4 \n\n"}, {"vocabulary": ["word2", "word4"]}, {"vocabulary[]": ["word2", "word4"]}],
)
def test_a_form_has_a_phrase_in_each_line_or_field(served: Served, fields: dict[str, Any]) -> None:
    answer = transcribed(served, model="echo", **fields).json()
    assert (answer["text"], answer["warnings"]) == ("word2 word4", [])


def test_what_is_not_listened_for_is_said(served: Served) -> None:
    answer = transcribed(served, model="echo", vocabulary=["word1", "xyz"]).json()
    assert answer["warnings"] == [{"field": "vocabulary", "message": "This model does not know xyz."}]
    assert served.http.get(f"/jobs/{answer['job_id']}").json()["warnings"] == answer["warnings"]
    refused = transcribed(served, vocabulary="xyz")
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "vocabulary")
    long = transcribed(served, vocabulary="x" * 101)
    assert (long.status_code, long.json()["error"]["field"]) == (422, "vocabulary.0")


def test_openais_prompt_is_no_vocabulary_and_says_so(served: Served) -> None:
    answer = transcribed(served, model="echo", prompt="word1").json()
    assert answer["text"] == "word1 word2 word3 word4"
    assert [warning["field"] for warning in answer["warnings"]] == ["prompt"]


def test_speakers_are_in_the_answer_the_transcript_and_its_files(served: Served) -> None:
    answer = transcribed(served, speakers="true", response_format="verbose_json").json()
    assert [segment["speaker"] for segment in answer["segments"]] == ["A", "B"]
    job = f"/jobs/{answer['job_id']}"
    assert [part["speaker"] for part in served.http.get(f"{job}/transcript").json()["paragraphs"]] == ["A", "B"]
    assert served.http.get(f"{job}/captions/txt").text == "A: word1 word2\nB: word3 word4"
    assert "<v B>word3 word4" in served.http.get(f"{job}/captions/vtt").text
    assert "B: word3 word4" in served.http.get(f"{job}/captions/srt").text
    edited = served.http.put(f"{job}/transcript", json={"text": "word1\nword2 too\nWord3 word4."}).json()
    assert [part["speaker"] for part in edited["paragraphs"]] == ["A", "A", "B"]
    assert served.http.get(f"{job}/captions/txt").text == "A: word1\nA: word2 too\nB: Word3 word4."
    plain = transcribed(served, response_format="verbose_json").json()
    assert "speaker" not in plain["segments"][0]


def test_a_stream_tells_the_speakers_last(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="x", max_retries=0) as client:
        stream = client.audio.transcriptions.create(
            model="echo", file=("a.wav", wav_bytes(data=SOUND)), stream=True, extra_body={"speakers": True}
        )
        events = [event.to_dict() for event in stream]
    told = [event for event in events if event["type"] == "transcript.text.segment"]
    spoken = [TranscriptionTextSegmentEvent.model_validate(event) for event in told]
    assert [(one.speaker, one.text) for one in spoken] == [("A", "word1 word2"), ("B", "word3 word4")]
    assert events[-1]["text"] == "word1 word2\nword3 word4"
    assert "segment" not in transcribed(served, stream="true").text


def test_vosks_clients_send_a_phrase_list(served: Served) -> None:
    address = f"{served.url.replace('http', 'ws', 1)}/v1/vosk?sample_rate=16000"
    with connect(address) as socket:
        socket.send(json.dumps({"config": {"phrase_list": ["word1", "word4", "xyz", "[unk]"]}}))
        socket.send(SOUND)
        told = json.loads(socket.recv(timeout=20))
        socket.send('{"eof": 1}')
        last = json.loads(socket.recv(timeout=20))
    assert told["text"] == "word1 word4"
    assert last["warnings"] == [{"field": "phrase_list", "message": "This model does not know xyz."}]
    until(lambda: served.http.get(f"/jobs/{last['job_id']}").json()["finished_at"])


@pytest.mark.parametrize("phrases", [["xyz"], "word1", [5], ["x" * 101]])
def test_a_phrase_list_that_cannot_be_used_ends_the_session_with_the_reason(served: Served, phrases: object) -> None:
    address = f"{served.url.replace('http', 'ws', 1)}/v1/vosk?sample_rate=16000"
    with connect(address) as socket:
        socket.send(json.dumps({"config": {"phrase_list": phrases}}))
        socket.send(SOUND)
        told = json.loads(socket.recv(timeout=20))
        code, reason = closed(socket)
    assert told["error"]["field"] == "phrase_list"
    assert (code, reason[:11]) == (1008, "phrase_list")
    until(lambda: not served.studio.queue.unfinished())
