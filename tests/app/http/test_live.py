"""Live sessions over both sockets, as clients see them: a studio over the small engine that counts half seconds."""

from __future__ import annotations

import asyncio
import base64
import json
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.jobs.model import Job, JobState
from engines.speech.vosk_engine import VoskEngine
from tests.app.conftest import Served, serve
from tests.conftest import ROOT
from tests.engines.speech.listening import pcm
from tests.engines.speech.media import repeated
from tests.serving import create_api, make_studio, serving, settings_in, until
from tests.small_engines import BlobEngine

RATE = 8000
HALF = b"\x01\x00" * (RATE // 2)
"""Half a second that is not silent: one word."""
TOKEN = "a-token-of-the-app-00"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("data")
    yield from serve(folder, create_api, live_sessions=3, live_idle_seconds=1, keep_live_audio=True)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio that asks for a token."""
    folder = tmp_path_factory.mktemp("guarded")
    yield from serve(folder, create_api, api_tokens=f"web={TOKEN}", allowed_origins="https://app.example.com")


@pytest.fixture(autouse=True)
def _nothing_left(served: Served) -> Iterator[None]:
    """Each test leaves no session open: whatever it did, the worker is free."""
    yield
    served.speech.gate.set()
    until(lambda: not served.studio.queue.unfinished())


def address(served: Served, path: str) -> str:
    return f"{served.url.replace('http', 'ws', 1)}{path}"


def heard(socket: ClientConnection) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(socket.recv(timeout=20))
    return told


def closed(socket: ClientConnection) -> tuple[int, str]:
    """How the server closes, after all that it still says."""
    try:
        while True:
            socket.recv(timeout=20)
    except ConnectionClosed:
        return socket.close_code or 0, socket.close_reason or ""


def _try(url: str, **options: Any) -> None:
    """Connect and leave. Raises InvalidStatus."""
    with connect(url, **options):
        pass


def ended(served: Served, job_id: str) -> Job:
    until(lambda: served.job(job_id).final)
    return served.job(job_id)


def job_of(socket: ClientConnection) -> str:
    assert socket.response is not None
    return socket.response.headers["Location"].rpartition("/")[2]


def test_each_sound_is_answered_and_the_end_has_the_rest(served: Served) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send('{"config": {"sample_rate": 8000.0, "max_alternatives": 3}}')
        answers = []
        for _ in range(3):
            socket.send(HALF)
            answers.append(heard(socket))
        socket.send('{"eof" : 1}')
        last = heard(socket)
        assert closed(socket)[0] == 1000
    assert answers[0] == {"partial": "word1"}
    assert answers[1]["text"] == "word1 word2"
    assert answers[1]["result"][1] == {"conf": 0.75, "end": 0.9, "start": 0.5, "word": "word2"}
    assert (last["text"], [word["word"] for word in last["result"]]) == ("word3", ["word3"])
    assert last["warnings"][0]["field"] == "max_alternatives"
    job = ended(served, last["job_id"])
    assert job.result is not None
    assert served.http.get(f"/jobs/{job.id}").json()["result"]["text"] == "word1 word2 word3"
    texts = [f"recording.{ending}" for ending in ("srt", "vtt", "txt", "tsv", "json")]
    assert [file.name for file in job.files] == [*texts, "sound.flac"]
    assert served.http.get(f"/files/{job.files[-1].id}").content[:4] == b"fLaC"


def test_words_can_be_left_out_and_the_rate_is_vosk_servers_without_a_config(served: Served) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send('{"config": {"words": 0}}')
        socket.send(HALF + HALF)
        assert heard(socket) == {"text": "word1 word2"}


def test_a_client_that_does_not_wait_loses_no_sound(served: Served) -> None:
    served.speech.gate.clear()
    with connect(address(served, "/v1/vosk"), max_queue=None) as socket:
        for _ in range(50):
            socket.send(HALF)
        socket.send('{"eof": 1}')
        served.speech.gate.set()
        text = " ".join(heard(socket).get("text", "") for _ in range(51)).split()
    assert text == [f"word{number}" for number in range(1, 51)]


def test_a_client_that_leaves_frees_the_worker_and_its_words_are_kept(served: Served) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send(HALF)
        heard(socket)
        job_id = job_of(socket)
        assert served.job(job_id).state is JobState.RUNNING
        # As a machine that falls asleep: no word of farewell.
        socket.socket.shutdown(SHUT_RDWR)
    job = ended(served, job_id)
    assert (job.state, job.result.text) == (JobState.SUCCEEDED, "word1")  # type: ignore[union-attr]


def test_a_session_without_sound_leaves_no_transcript(served: Served) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        job_id = job_of(socket)
    assert ended(served, job_id).state is JobState.CANCELLED


def test_silence_of_the_client_ends_the_session(served: Served) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send(HALF)
        assert closed(socket) == (1001, "Nothing came for 1 s.")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("{", "message"),
        ("[]", "message"),
        ('{"hello": 1}', "message"),
        ('{"config": 1}', "config"),
        ('{"config": {"sample_rate": "fast"}}', "sample_rate"),
    ],
)
def test_what_cannot_be_used_is_said_and_ends_the_session(served: Served, message: str, field: str) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send(message)
        assert heard(socket)["error"]["field"] == field
        assert closed(socket)[0] == 1008


def test_a_rate_that_no_sound_has_is_refused_with_the_remedy(served: Served) -> None:
    with connect(address(served, "/v1/vosk?sample_rate=3")) as socket:
        socket.send(HALF)
        assert heard(socket)["error"]["message"] == "sample_rate is 3: send a whole number from 8000 to 192000."


def test_a_message_over_the_limit_ends_the_session(served: Served) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send(bytes(1024 * 1024 + 2))
        assert closed(socket)[0] == 1009


def test_more_sessions_than_there_may_be_are_refused_before_they_begin(served: Served) -> None:
    with ExitStack() as open_ones:
        for _ in range(3):
            open_ones.enter_context(connect(address(served, "/v1/vosk")))
        with pytest.raises(InvalidStatus) as refused:
            _try(address(served, "/v1/vosk"))
    answer = refused.value.response
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "15")
    assert json.loads(answer.body)["error"]["type"] == "queue_full"
    until(lambda: not served.studio.queue.unfinished())
    _try(address(served, "/v1/vosk"))


def test_a_session_that_is_cancelled_elsewhere_ends(served: Served) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send(HALF)
        heard(socket)
        served.http.delete(f"/jobs/{job_of(socket)}")
        assert heard(socket)["error"]["type"] == "cancelled"
        assert closed(socket)[0] == 1011


def test_others_may_read_along(served: Served) -> None:
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send(HALF + HALF)
        heard(socket)
        with served.http.stream("GET", f"/jobs/{job_of(socket)}/events") as events:
            told = next(line for line in events.iter_lines() if "word1 word2" in line)
    assert told.startswith("data: ")


# -- tokens


def test_a_token_is_taken_from_header_subprotocol_and_query(guarded: Served) -> None:
    url = address(guarded, "/v1/vosk")
    header = {"Authorization": f"Bearer {TOKEN}"}
    with connect(url, additional_headers=header) as socket:
        assert guarded.job(job_of(socket), "web").account == "web"
    with connect(url, subprotocols=["vosk", f"bearer.{TOKEN}"]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "vosk"
    with connect(f"{url}?token={TOKEN}&sample_rate=8000") as socket:
        socket.send(HALF)
        assert heard(socket) == {"partial": "word1"}


@pytest.mark.parametrize("query", ["", "?token=a-token-of-nobody-00"])
def test_nobody_else_is_let_in(guarded: Served, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        _try(address(guarded, f"/v1/realtime{query}"))
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["type"] == "unauthorized"


def test_a_page_of_another_site_needs_more_than_a_token(guarded: Served) -> None:
    header = {"Authorization": f"Bearer {TOKEN}"}
    url = address(guarded, "/v1/vosk")
    with pytest.raises(InvalidStatus) as refused:
        _try(url, additional_headers=header, origin="https://evil.example.com")
    assert refused.value.response.status_code == 403
    _try(url, additional_headers=header, origin="https://app.example.com")


# -- OpenAI's


def say(socket: ClientConnection, kind: str, **values: Any) -> None:
    socket.send(json.dumps({"type": kind, **values}))


def append(socket: ClientConnection, sound: bytes) -> None:
    say(socket, "input_audio_buffer.append", audio=base64.b64encode(sound).decode())


def update(socket: ClientConnection, **given: Any) -> dict[str, Any]:
    """Settings of `audio.input`, and what comes of them."""
    say(socket, "session.update", session={"type": "transcription", "audio": {"input": given}})
    return heard(socket)


PCM = {"type": "audio/pcm", "rate": RATE}


def test_an_utterance_of_a_transcription_session(served: Served) -> None:
    with connect(address(served, "/v1/realtime?intent=transcription")) as socket:
        assert heard(socket)["type"] == "session.created"
        assert update(socket, format=PCM, transcription={"model": "any"})["type"] == "session.updated"
        append(socket, HALF)
        append(socket, HALF)
        events = [heard(socket) for _ in range(5)]
    names = [event["type"].rpartition(".")[2] for event in events]
    assert names == ["speech_started", "delta", "speech_stopped", "committed", "completed"]
    assert len({event["item_id"] for event in events}) == 1
    assert events[1]["delta"] == events[4]["transcript"] == "word1 word2"
    assert events[4]["usage"]["type"] == "duration"


def test_without_turn_detection_an_item_is_what_the_client_commits(served: Served) -> None:
    with connect(address(served, "/v1/realtime")) as socket:
        heard(socket)
        update(socket, format=PCM, turn_detection=None)
        append(socket, HALF * 3)
        say(socket, "input_audio_buffer.commit")
        events = [heard(socket) for _ in range(4)]
        append(socket, bytes(RATE))
        say(socket, "input_audio_buffer.commit")
        silent = [heard(socket) for _ in range(2)]
    assert "".join(event.get("delta", "") for event in events) == "word1 word2 word3"
    assert events[-1]["transcript"] == "word1 word2 word3"
    assert silent[0]["previous_item_id"] == events[-1]["item_id"]
    assert silent[1]["transcript"] == ""


def test_what_cannot_be_used_is_an_error_event_and_the_session_goes_on(served: Served) -> None:
    with connect(address(served, "/v1/realtime")) as socket:
        heard(socket)
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"type": "response.create"}, "type"),
            ({"type": "input_audio_buffer.commit"}, "type"),
            ({"type": "input_audio_buffer.append", "audio": "***"}, "audio"),
            ({"type": "session.update", "session": {"type": "realtime"}}, "session.type"),
            ({"type": "session.update", "session": None}, "session"),
        ]
        for event, param in wrong:
            socket.send(json.dumps({**event, "event_id": "mine"}))
            error = heard(socket)["error"]
            assert (error["type"], error["param"], error["event_id"]) == ("invalid_request_error", param, "mine")
        assert update(socket, format={"type": "audio/pcmu"})["error"]["param"] == "session.audio.input.format.type"
        updated = update(socket, format=PCM, noise_reduction={"type": "near_field"})
        assert updated["session"]["warnings"][0]["field"] == "noise_reduction"
        append(socket, HALF)
        assert heard(socket)["type"] == "input_audio_buffer.speech_started"


def test_a_voice_that_is_to_be_answered_is_refused(served: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        _try(address(served, "/v1/realtime?intent=conversation"))
    assert refused.value.response.status_code == 422


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager")  # openai 3.54 does not
def test_openais_client(served: Served) -> None:
    from openai import OpenAI

    sound = base64.b64encode(b"\x01\x00" * 24_000).decode()
    with (
        OpenAI(base_url=f"{served.url}/v1", api_key="none") as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as talk,
    ):
        talk.session.update(session={"type": "transcription", "audio": {"input": {"transcription": {"model": "vosk"}}}})
        talk.input_audio_buffer.append(audio=sound)
        for event in talk:
            if event.type == "conversation.item.input_audio_transcription.completed":
                assert event.transcript == "word1 word2"
                return


# -- the end of the server


def test_a_stop_ends_sessions_with_their_words_kept(tmp_path: Path) -> None:
    running = serve(tmp_path, create_api)
    served = next(running)
    with connect(address(served, "/v1/vosk")) as socket:
        socket.send(HALF)
        heard(socket)
        served.studio.queue.drain()
        assert heard(socket)["text"] == "word1"
        assert closed(socket)[0] == 1012
    until(lambda: served.studio.queue.idle)
    for _ in running:
        pass


# -- the real model, and vosk-server's own Python client


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a studio with the built-in speech model."""
    speech = VoskEngine(ROOT / "models" / "vosk-demo-en", workers=1)
    studio = make_studio(settings_in(tmp_path_factory.mktemp("hearing")), BlobEngine(), speech)
    with serving(create_api(studio)) as url:
        yield url


@pytest.fixture(scope="module")
def sentences() -> dict[str, str]:
    found: dict[str, str] = json.loads((ROOT / "tests/data/speech/sentences.json").read_text())
    return found


def test_vosk_servers_client_of_the_vosk_package(hearing: str, sentences: dict[str, str]) -> None:
    """As it is in the package: `vosk-transcriber --server`, but for ffmpeg, whose output it is given."""
    from vosk.transcriber.transcriber import Transcriber

    client = object.__new__(Transcriber)  # It would load a model of its own.
    client.args = Namespace(server=f"{hearing.replace('http', 'ws')}/v1/vosk", output_type="txt")

    async def ask() -> Any:
        stream = asyncio.StreamReader()
        stream.feed_data(pcm("sentence.wav", 16_000))
        stream.feed_eof()
        return await client.recognize_stream_server(Namespace(stdout=stream))

    result, _ = asyncio.run(ask())
    assert client.format_result(result).split() == sentences["sentence.wav"].split()


def test_ten_speakers_beside_a_long_file_lose_no_word(hearing: str, sentences: dict[str, str], tmp_path: Path) -> None:
    long = repeated(tmp_path / "long.wav", ROOT / "tests/data/speech/longer.wav", 4)
    sound = pcm("sentence.wav", 48_000)

    def speak(_: int) -> list[str]:
        words = []
        with connect(f"{hearing.replace('http', 'ws')}/v1/vosk?sample_rate=48000", max_queue=None) as socket:
            for start in range(0, len(sound), 9600):
                socket.send(sound[start : start + 9600])
            socket.send('{"eof": 1}')
            while "job_id" not in (told := heard(socket)):
                words += told.get("text", "").split()
        return [*words, *told["text"].split()]

    with httpx.Client(base_url=hearing, timeout=120) as client, ThreadPoolExecutor(11) as people:
        file = people.submit(
            client.post, "/v1/audio/transcriptions", files={"file": ("long.wav", long.read_bytes(), "audio/wav")}
        )
        assert list(people.map(speak, range(10))) == [sentences["sentence.wav"].split()] * 10
        assert file.result().json()["text"].split() == sentences["longer.wav"].split() * 4
