"""How a private service is called: real key files, real signatures, Google's endpoint played by a local one."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from app.settings.fields import Settings
from app.wiring import build_speech
from engines.errors import ServiceUnavailable
from engines.requests import TranscribeRequest
from engines.results import Transcript
from engines.speech.cloud_run import CallOptions, CloudRunEngine
from engines.speech.service_auth import BearerToken, GoogleIdToken
from tests.conftest import ROOT
from tests.engines.speech.google_tokens import Google, google
from tests.engines.speech.media import DATA
from tests.engines.speech.scripted_server import Answer, Script, scripted

AUDIENCE = "https://transcriber-abc123-ew.a.run.app"
FAST = CallOptions(backoff=0.01)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Google]:
    with google() as it:
        yield it


@pytest.fixture
def key(issuer: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Google:
    """A machine with the key file of an account."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(issuer.key_file(tmp_path)))
    issuer.lifetime, issuer.status = 3600, 200
    issuer.audiences.clear()
    return issuer


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with no key file, and where something else than Google's metadata server answers."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with scripted(Answer(404)) as other:
        monkeypatch.setenv("GCE_METADATA_IP", other.url.removeprefix("http://"))
        yield


def ask(script: Script, auth: GoogleIdToken | BearerToken) -> Transcript:
    engine = CloudRunEngine(script.url, options=FAST, auth=auth)
    return engine.transcribe(TranscribeRequest(), DATA / "sentence.ogg", lambda _: None, Event())


def test_a_key_files_account_is_shown_and_its_token_kept(key: Google) -> None:
    auth = GoogleIdToken(AUDIENCE, required=True)
    with scripted(Answer()) as script, ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda _: ask(script, auth).text, range(8)))
    assert texts == ["from the cloud"] * 8
    assert {key.audience_of(headers["Authorization"]) for headers in script.headers} == {AUDIENCE}
    assert key.audiences == [AUDIENCE]  # one for all eight


def test_a_token_that_ends_soon_is_replaced(key: Google) -> None:
    key.lifetime = 120
    auth = GoogleIdToken(AUDIENCE, required=True)
    with scripted(Answer()) as script:
        ask(script, auth)
        ask(script, auth)
    first, second = (headers["Authorization"] for headers in script.headers)
    assert first != second


def test_a_machine_of_googles_shows_its_own_account(issuer: Google) -> None:
    """In a process of its own: google-auth reads where the metadata server is when it is imported."""
    program = (
        "import sys; from engines.speech.service_auth import GoogleIdToken; "
        "print(GoogleIdToken(sys.argv[1], required=True).token())"
    )
    place = issuer.url.removeprefix("http://")
    done = subprocess.run(
        [sys.executable, "-c", program, AUDIENCE],
        cwd=ROOT,
        env={"GCE_METADATA_HOST": place, "GCE_METADATA_IP": place, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert issuer.audience_of(f"Bearer {done.stdout.strip()}") == AUDIENCE


@pytest.mark.usefixtures("no_account")
def test_without_an_account_an_open_service_is_called_and_a_private_one_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with scripted(Answer()) as script:
        auth = GoogleIdToken(AUDIENCE, required=False)
        assert ask(script, auth).text == ask(script, auth).text == "from the cloud"
        assert not any("Authorization" in headers for headers in script.headers)
        assert caplog.text.count("set GOOGLE_APPLICATION_CREDENTIALS to the key file") == 1
        with pytest.raises(ServiceUnavailable, match="has no Google credentials to show"):
            ask(script, GoogleIdToken(AUDIENCE, required=True))
    assert len(script.bodies) == 2


@pytest.mark.parametrize("required", [False, True])
def test_a_key_file_that_is_no_use_fails_and_says_where_to_look(
    required: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"type": "service_account", "private_key": "a-secret"}')
    for path in (broken, tmp_path / "missing.json"):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        caplog.clear()
        with scripted(Answer()) as script, pytest.raises(ServiceUnavailable, match="cannot be used") as told:
            ask(script, GoogleIdToken(AUDIENCE, required=required))
        assert script.bodies == []
        assert "GOOGLE_APPLICATION_CREDENTIALS names the key file" in caplog.text
        assert "a-secret" not in caplog.text + str(told.value)
        assert str(tmp_path) not in caplog.text + str(told.value)


def test_an_account_that_google_refuses_fails_and_one_that_it_cannot_serve_now_is_tried_again(key: Google) -> None:
    auth = GoogleIdToken(AUDIENCE, required=True)
    with scripted(Answer()) as script:
        key.status = 400
        with pytest.raises(ServiceUnavailable, match="credentials cannot be used"):
            ask(script, auth)
        key.status = 200
        assert ask(script, auth).text == "from the cloud"


def test_the_health_page_of_a_private_service_is_read_with_the_token(key: Google) -> None:
    engine = CloudRunEngine("http://127.0.0.1:9", auth=GoogleIdToken(AUDIENCE, required=True))
    engine.load()  # nobody answers there, which is no error
    assert key.audiences == [AUDIENCE]


def test_a_start_without_credentials_goes_on(no_account: None) -> None:
    CloudRunEngine("http://127.0.0.1:9", auth=GoogleIdToken(AUDIENCE, required=True)).load()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"transcription_service_url": AUDIENCE}, GoogleIdToken),
        ({"transcription_service_url": AUDIENCE, "transcription_auth": "none"}, type(None)),
        ({"transcription_service_url": AUDIENCE, "transcription_token": "a-token-for-the-tests"}, BearerToken),
        ({"transcription_service_url": "https://speech.example.com"}, type(None)),
        ({"transcription_service_url": "http://a.run.app"}, type(None)),  # a token is not sent in clear text
        ({"transcription_service_url": "https://speech.example.com", "transcription_auth": "google"}, GoogleIdToken),
    ],
)
def test_the_settings_say_how_it_is_called(values: dict[str, str], expected: type) -> None:
    engine = build_speech(Settings.model_validate(values))
    assert isinstance(engine, CloudRunEngine)
    assert isinstance(engine._auth, expected)
    engine.close()


def test_a_token_of_the_services_own_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted(Answer()) as script:
        ask(script, BearerToken("a-token-for-the-tests"))
    assert script.headers[0]["Authorization"] == "Bearer a-token-for-the-tests"
    assert "a-token" not in caplog.text
