"""The transcription service as its callers meet it: real HTTP, real model, the real OpenAI client."""

from __future__ import annotations

import concurrent.futures
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import httpx
import openai
import pytest

from app.accounts import Accounts
from app.cli.transcriber import assemble
from app.http.apps import create_transcriber
from app.settings.fields import TranscriberSettings
from engines.errors import ModelInvalid
from engines.protocols import SpeechEngine
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MALFORMED, MODEL, SENTENCES, repeated, silent_video, wav_bytes
from tests.engines.speech.processes import eventually, hold_work, is_alive, worker_pids
from tests.serving import serving
from tests.small_engines import EchoSpeech

ROOT = Path(__file__).parents[3]
ROUTE = "/v1/audio/transcriptions"
TEXT = "hello this is a test of the voice message"

Fields = Mapping[str, str | list[str]]


@contextmanager
def transcriber(engine: SpeechEngine, **values: object) -> Iterator[tuple[str, Path]]:
    """The service's address, and the folder where its uploads lie while they are worked on."""
    settings = TranscriberSettings.model_validate({"cloud_run_service": "x", "speech_workers": 1, **values})
    service = assemble(settings, engine)
    with serving(create_transcriber(service, Accounts(settings.tokens), settings.trusted_hosts)) as url:
        yield url, service.files.uploads
        assert eventually(lambda: not list(service.files.uploads.iterdir()))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, Path]]:
    with transcriber(VoskEngine(MODEL, workers=2), max_upload_mb=2, speech_workers=2) as running:
        until_healthy(running[0])
        yield running


@pytest.fixture
def url(running: tuple[str, Path]) -> Iterator[str]:
    url, uploads = running
    yield url
    assert eventually(lambda: not list(uploads.iterdir()))


def until_healthy(url: str) -> None:
    assert eventually(lambda: httpx.get(f"{url}/health").status_code == 200, 30)


def post(
    url: str, name: str = "sentence.ogg", content: bytes | None = None, fields: Fields | None = None
) -> httpx.Response:
    content = (DATA / name).read_bytes() if content is None else content
    return httpx.post(f"{url}{ROUTE}", files={"file": (name, content)}, data=fields, timeout=60)


# Answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SENTENCES)
def test_every_container_gives_the_same_words(url: str, name: str) -> None:
    response = post(url, name)
    assert response.status_code == 200
    body = response.json()
    assert body["text"] == TEXT
    assert body["demo"] is True
    assert body["no_speech"] is False


@pytest.mark.parametrize(
    ("response_format", "media_type", "pattern"),
    [
        ("text", "text/plain", re.escape(TEXT)),
        ("srt", "application/x-subrip", r"1\n00:00:00,\d{3} --> 00:00:0[23],\d{3}\nhello this .*\n"),
        ("vtt", "text/vtt", r"WEBVTT\n\n00:00:00\.\d{3} --> 00:00:0[23]\.\d{3}\nhello this .*\n"),
    ],
)
def test_plain_formats(url: str, response_format: str, media_type: str, pattern: str) -> None:
    response = post(url, fields={"response_format": response_format})
    assert response.headers["Content-Type"].startswith(media_type)
    assert re.fullmatch(pattern, response.text)


@pytest.mark.parametrize(
    ("granularities", "keys"),
    [
        ([], {"segments"}),
        (["word"], {"words"}),
        (["segment"], {"segments"}),
        (["word", "segment"], {"words", "segments"}),
    ],
)
def test_verbose_json_has_the_times_that_were_asked_for(url: str, granularities: list[str], keys: set[str]) -> None:
    fields: Fields = {"response_format": "verbose_json", "timestamp_granularities[]": granularities}
    body = post(url, fields=fields).json()
    assert {"words", "segments"} & set(body) == keys
    assert (body["task"], body["language"], body["engine"]) == ("transcribe", "en", "vosk-demo-en")
    assert body["duration"] == pytest.approx(3.35, abs=0.1)
    if "words" in keys:
        assert [word["word"] for word in body["words"]] == TEXT.split()
        assert all(0 < word["confidence"] <= 1 for word in body["words"])
    if "segments" in keys:
        assert " ".join(segment["text"] for segment in body["segments"]) == TEXT


@pytest.mark.parametrize("name", ["silence.wav", "noise.wav"])
def test_no_speech_is_empty_text(url: str, name: str) -> None:
    body = post(url, name).json()
    assert (body["text"], body["no_speech"]) == ("", True)
    assert post(url, name, fields={"response_format": "text"}).text == ""
    assert post(url, name, fields={"response_format": "srt"}).text == ""


# OpenAI's own client --------------------------------------------------------------------------------------------------


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_openai_client_json(client: openai.OpenAI) -> None:
    answer = client.audio.transcriptions.create(model="whisper-1", file=DATA / "sentence.mp3")
    assert answer.text == TEXT


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_openai_client_text_formats(client: openai.OpenAI, response_format: str) -> None:
    answer = client.audio.transcriptions.create(  # type: ignore[call-overload]
        model="whisper-1", file=DATA / "sentence.mp3", response_format=response_format, language="en"
    )
    assert isinstance(answer, str)
    assert TEXT.split()[0] in answer


def test_openai_client_verbose_json(client: openai.OpenAI) -> None:
    with (DATA / "sentence.webm").open("rb") as file:
        answer = client.audio.transcriptions.create(
            model="whisper-1",
            file=file,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            prompt="ignored",
            temperature=0.2,
        )
    assert answer.text == TEXT
    assert answer.words is not None
    assert answer.segments is not None
    assert [word.word for word in answer.words] == TEXT.split()
    assert all(0 <= word.start < word.end <= float(answer.duration) for word in answer.words)
    assert answer.segments[0].text.startswith("hello")


def test_openai_client_sees_our_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="empty"):
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b""))


# What is wrong with a request -----------------------------------------------------------------------------------------


def test_malformed_files_get_a_clear_error_and_the_next_is_served(url: str, tmp_path: Path) -> None:
    contents = {name: make() for name, make in MALFORMED.items()}
    contents["silent.mp4"] = silent_video(tmp_path / "silent.mp4").read_bytes()
    for name, content in contents.items():
        response = post(url, name, content)
        assert response.status_code == 422, name
        error = response.json()["error"]
        assert (error["type"], error["field"]) == ("invalid_media", "file"), name
        assert error["message"].endswith("."), name
        assert "upload-" not in error["message"], name
        assert post(url).json()["text"] == TEXT, f"after {name}"


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"response_format": "docx"}, "response_format", "'docx' is not one of json, text, srt, vtt, verbose_json"),
        ({"timestamp_granularities[]": ["word", "letter"]}, "timestamp_granularities[]", "'letter' is not one of"),
        ({"language": "de"}, "language", "'de' is not available"),
        ({"language": "german"}, "language", "'de' is not available"),
        ({"language": "klingon"}, "language", "'klingon' is not available"),
        ({"language": "\x00\U0001f955" * 50}, "language", "shorten it to 64 or fewer"),
        ({"prompt": "x" * 70_000}, "prompt", "longer than 64 kB"),
        ({f"field{i}": "x" for i in range(40)}, "file", "more than 32 fields"),
        ({"stream": "true", "response_format": "srt"}, "response_format", "cannot be streamed"),
    ],
)
def test_a_bad_field_is_named(url: str, fields: Fields, field: str, words: str) -> None:
    response = post(url, fields=fields)
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["type"], error["field"]) == ("invalid_request", field)
    assert words in error["message"]


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
    return b"--x\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + value + b"\r\n"


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("application/json", b"{}", "Content-Type is 'application/json'"),
        (None, b"abc", "Content-Type is 'none'"),
        ("multipart/form-data", b"abc", "multipart/form-data"),
        ("multipart/form-data; boundary=" + "b" * 300, b"abc", "multipart/form-data"),
        ("multipart/form-data; boundary=x", b"", "damaged or ends too early"),
        ("multipart/form-data; boundary=x", b"garbage", "damaged or ends too early"),
        ("multipart/form-data; boundary=x", part("model", b"m") + b"--x--\r\n", "`file` is missing"),
        ("multipart/form-data; boundary=x", part("file", b"text") + b"--x--\r\n", "`file` is missing"),
        ("multipart/form-data; boundary=x", part("file", b"a", "a.wav")[:-4], "damaged or ends too early"),
        ("multipart/form-data; boundary=x", part("file", b"a" * 900, "a.wav"), "damaged or ends too early"),
        (
            "multipart/form-data; boundary=x",
            part("file", b"a", "a.wav") + part("file", b"b", "b.wav") + b"--x--\r\n",
            "more than one file",
        ),
        (
            "multipart/form-data; boundary=x",
            part("photo", b"a", "a.png") + b"--x--\r\n",
            "'photo' must not be a file",
        ),
    ],
)
def test_a_body_that_is_no_form_with_a_file(url: str, kind: str | None, content: bytes, words: str) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    response = httpx.post(f"{url}{ROUTE}", content=content, headers=headers)
    assert response.status_code == 422
    assert words in response.json()["error"]["message"]
    assert post(url).json()["text"] == TEXT


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "C:\\x\\a.wav", "emoji \U0001f955.wav", "", "a" * 3000, "n\x00l"]
)
def test_a_filename_is_only_a_name(url: str, filename: str) -> None:
    content = part("file", (DATA / "sentence.ogg").read_bytes(), filename) + b"--x--\r\n"
    response = httpx.post(
        f"{url}{ROUTE}", content=content, headers={"Content-Type": "multipart/form-data; boundary=x"}, timeout=60
    )
    assert response.json()["text"] == TEXT


@pytest.mark.parametrize("size", [2 * 2**20 + 1, 2_300_000, 4_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_over_the_limit_is_refused_with_the_limit(url: str, size: int, chunked: bool) -> None:
    content = part("file", bytes(size), "a.wav") + b"--x--\r\n"
    response = httpx.post(
        f"{url}{ROUTE}",
        content=(content[i : i + 65_536] for i in range(0, len(content), 65_536)) if chunked else content,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
        timeout=60,
    )
    assert response.status_code == 413
    assert "the limit" in response.json()["error"]["message"]


# Load, health, hanging up ---------------------------------------------------------------------------------------------


def test_requests_at_once_are_served_each_with_its_own(url: str, texts: dict[str, str]) -> None:
    names = ["sentence.mp3", "digits.wav", "sentence.ogg", "silence.wav"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = dict(zip(names, pool.map(lambda name: post(url, name).json()["text"], names), strict=True))
    assert answers == {name: texts[name] for name in names}


@pytest.fixture
def texts() -> dict[str, str]:
    found: dict[str, str] = json.loads((DATA / "sentences.json").read_text())
    return found


def test_health(url: str) -> None:
    health = httpx.get(f"{url}/health").json()
    assert (health["status"], health["models_loaded"]) == ("healthy", True)
    assert health["model"]["demo"] is True
    assert httpx.get(f"{url}/health/ready").json() == {"status": "healthy"}
    assert httpx.get(f"{url}/health/live").status_code == 200


def test_text_is_streamed_as_it_is_heard(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["vosk-demo-en"]
        stream = client.audio.transcriptions.create(model="x", file=DATA / "longer.wav", stream=True)
        *deltas, done = stream
    assert len(deltas) > 1
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == done.text


def test_the_route_is_documented(url: str) -> None:
    operation = httpx.get(f"{url}/openapi.json").json()["paths"][ROUTE]["post"]
    properties = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert {"file", "response_format", "language", "timestamp_granularities[]"} <= set(properties)


SOUND = wav_bytes(data=b"\x01\x01" * 16_000)


def sent_whole_before_reading(url: str, content: bytes) -> bytes:
    """The start of the answer to a client that reads nothing before it has sent all, and uses a connection once."""
    host, port = url.removeprefix("http://").split(":")
    body = part("file", content, "a.wav") + b"--x--\r\n"
    head = (
        f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode() + body)
        return connection.recv(1000)


def test_liveness_is_quick_and_a_full_service_says_when_to_come_back() -> None:
    engine = EchoSpeech(gate=Event())
    with transcriber(engine) as (url, _):
        until_healthy(url)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            working = [pool.submit(post, url, "a.wav", SOUND) for _ in range(2)]
            assert eventually(lambda: httpx.get(f"{url}/health").json()["workers"][0]["waiting"] == 1)
            began = time.monotonic()
            assert httpx.get(f"{url}/health/live").status_code == 200
            assert time.monotonic() - began < 1
            assert b" 503 " in sent_whole_before_reading(url, bytes(20_000_000))
            refused = post(url, "a.wav", SOUND)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert refused.json()["error"]["type"] == "queue_full"
            engine.gate.set()
            assert [answer.result().status_code for answer in working] == [200, 200]
        assert post(url, "a.wav", SOUND).status_code == 200


def test_a_client_that_hangs_up_cancels_its_work() -> None:
    engine = EchoSpeech(gate=Event())
    with transcriber(engine) as (url, _):
        until_healthy(url)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}{ROUTE}", files={"file": ("a.wav", SOUND)}, timeout=0.5)
        assert eventually(lambda: httpx.get(f"{url}/health").json()["active"] == 0)
        assert not engine.gate.is_set()


def test_a_client_that_hangs_up_during_the_upload_leaves_nothing(running: tuple[str, Path]) -> None:
    url, tmp_dir = running
    host, port = url.removeprefix("http://").split(":")
    head = (
        f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + part("file", bytes(200_000), "a.wav"))
        assert eventually(lambda: bool(list(tmp_dir.iterdir())))
    assert eventually(lambda: not list(tmp_dir.iterdir()))
    assert eventually(lambda: httpx.get(f"{url}/health").json()["active"] == 0)


class Slow(EchoSpeech):
    """Takes its time to load, then fails if told."""

    def __init__(self, error: ModelInvalid | None = None) -> None:
        super().__init__()
        self.loading = Event()
        self.error = error

    def load(self) -> None:
        self.loading.wait(30)
        if self.error:
            raise self.error


def test_while_the_model_loads_it_says_so_and_work_waits() -> None:
    engine = Slow()
    with transcriber(engine) as (url, _), concurrent.futures.ThreadPoolExecutor(1) as pool:
        health = httpx.get(f"{url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "loading")
        assert health.json()["models_loaded"] is False
        waiting = pool.submit(post, url, "a.wav", SOUND)
        assert eventually(lambda: httpx.get(f"{url}/health").json()["workers"][0]["waiting"] == 1)
        engine.loading.set()
        until_healthy(url)
        assert waiting.result().status_code == 200


def test_a_model_that_cannot_be_loaded_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    engine = Slow(ModelInvalid("The model is broken: fetch it again."))
    engine.loading.set()
    with transcriber(engine) as (url, _):
        assert eventually(lambda: httpx.get(f"{url}/health/ready").json()["status"] == "failed")
        for _ in range(2):
            refused = post(url, "a.wav", SOUND)
            assert (refused.status_code, refused.json()["error"]["type"]) == (503, "model_invalid")
    assert "fetch it again" in caplog.text


def test_tokens_guard_all_but_the_probes() -> None:
    with transcriber(EchoSpeech(), api_tokens="a-token-for-the-tests") as (url, _):
        assert eventually(lambda: httpx.get(f"{url}/health/ready").status_code == 200)
        for path in ("/health", "/docs", "/openapi.json"):
            assert httpx.get(f"{url}{path}").status_code == 401
        assert post(url, "a.wav", SOUND).status_code == 401
        with openai.OpenAI(base_url=f"{url}/v1", api_key="a-token-for-the-tests") as client:
            assert client.audio.transcriptions.create(model="x", file=("a.wav", SOUND)).text == "word1 word2"


# As a process ---------------------------------------------------------------------------------------------------------

SERVE = """
import sys
from app.cli.transcriber import main
from app.settings.fields import TranscriberSettings
heavy = {"torch", "gradio", "diffusers", "transformers"}
values = {"vosk_model": sys.argv[1], "port": sys.argv[2], "drain_seconds": sys.argv[3], "host": "127.0.0.1"}
status = main(TranscriberSettings.model_validate(values))
assert not heavy & set(sys.modules), heavy & set(sys.modules)
sys.exit(status)
"""


class Served:
    """The service as a process of its own."""

    def __init__(self, drain_seconds: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SERVE, str(MODEL), str(self.port), str(drain_seconds)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        assert eventually(self._answers, 30)

    def status(self) -> str:
        return str(httpx.get(f"{self.url}/health", timeout=10).json()["status"])

    def active(self) -> int:
        return int(httpx.get(f"{self.url}/health", timeout=10).json()["active"])

    def _answers(self) -> bool:
        try:
            return self.status() == "healthy"
        except httpx.TransportError:
            return False


@pytest.fixture
def serve() -> Iterator[list[Served]]:
    started: list[Served] = []
    yield started
    for served in started:
        served.process.kill()
        served.process.communicate()


def test_sigterm_drains(serve: list[Served], tmp_path: Path) -> None:
    served = Served(drain_seconds=60)
    serve.append(served)
    recording = repeated(tmp_path / "minutes.wav", DATA / "longer.wav", 12).read_bytes()
    workers = worker_pids(served.process.pid)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        working = pool.submit(post, served.url, "minutes.wav", recording)
        assert eventually(lambda: served.active() == 1)
        served.process.terminate()
        assert eventually(lambda: served.status() == "draining", 2)
        refused = post(served.url, "a.wav", SOUND)
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "draining")
        assert "Retry-After" in refused.headers
        assert httpx.get(f"{served.url}/health/live").status_code == 200
        answer = working.result(60)
    assert answer.status_code == 200
    assert answer.json()["text"].count("good morning") == 12
    assert served.process.wait(20) == 0
    assert workers
    assert not any(map(is_alive, workers))


def test_the_drain_has_an_end(serve: list[Served], tmp_path: Path) -> None:
    served = Served(drain_seconds=1)
    serve.append(served)
    recording = repeated(tmp_path / "long.wav", DATA / "longer.wav", 20).read_bytes()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        working = pool.submit(post, served.url, "long.wav", recording)
        assert eventually(lambda: served.active() == 1)
        workers = worker_pids(served.process.pid)
        hold_work(served.process.pid)
        served.process.terminate()
        served.process.wait(20)
        assert eventually(lambda: not any(map(is_alive, workers)), 5)
        answer = working.result(5)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "service_unavailable")
    assert served.process.returncode == 1


def test_ctrl_c_on_an_idle_service_ends_it_at_once(serve: list[Served]) -> None:
    served = Served(drain_seconds=60)
    serve.append(served)
    began = time.monotonic()
    served.process.send_signal(2)
    assert served.process.wait(10) == 0
    assert time.monotonic() - began < 5
