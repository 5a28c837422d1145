"""A Vosk model in ONNX behind the studio's doors: chosen by its folder, heard over HTTP, the socket and the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Playwright, expect
from websockets.sync.client import connect

from app.vosk import build_vosk
from app.wiring import describe
from engines.devices import find_device
from engines.errors import ModelMissing
from engines.speech import model
from tests.app.ui.steps import last_job, open_tab, until_done
from tests.browser import chromium, new_profile, open_page
from tests.engines.speech.kinds import SAID, said
from tests.engines.speech.listening import pcm
from tests.engines.speech.tones import TIGHT, write
from tests.serving import create_app, make_studio, serving, settings_in
from tests.small_engines import BlobEngine
from tests.tiny_onnx import tone_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tone_model(tmp_path_factory.mktemp("models") / "tones", "vosk-model-tones-0.52")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("said") / "said.wav"
    write(path, "wav", said(3))
    return path


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = settings_in(tmp_path_factory.mktemp("data"), vosk_model=folder)
    speech = build_vosk(settings, folder)
    studio = make_studio(settings, BlobEngine(), speech)
    assert any("vosk-model-tones-0.52" in line for line in describe(settings, studio, find_device("cpu")))
    with closing(speech), serving(create_app(studio)) as url:
        yield url


def transcribed(address: str, recording: Path, **fields: Any) -> httpx.Response:
    with recording.open("rb") as file:
        return httpx.post(f"{address}/v1/audio/transcriptions", data=fields, files={"file": file}, timeout=60)


def test_a_file_has_words_with_times_and_captions(address: str, recording: Path) -> None:
    answer = transcribed(
        address, recording, response_format="verbose_json", **{"timestamp_granularities[]": "word"}
    ).json()
    assert (answer["text"], answer["language"]) == (" ".join([SAID] * 3), "en")
    assert [word["word"] for word in answer["words"]] == SAID.split() * 3
    starts = [word["start"] for word in answer["words"]]
    assert starts == pytest.approx([0.4, 1.6, 3.2, 4.4, 6.0, 7.2], abs=TIGHT)
    assert "00:00:00,4" in transcribed(address, recording, response_format="srt").text


@pytest.mark.parametrize("fields", [{"vocabulary": "carrot"}, {"speakers": "true"}, {"language": "ru"}])
def test_what_it_cannot_do_is_422_and_names_the_field(address: str, recording: Path, fields: dict[str, str]) -> None:
    answer = transcribed(address, recording, **fields)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, next(iter(fields)))


def test_a_speaker_is_heard_while_he_speaks(address: str, recording: Path) -> None:
    sound = pcm(recording, 16_000)
    told: list[dict[str, Any]] = []
    with connect(f"{address.replace('http', 'ws', 1)}/v1/vosk?sample_rate=16000") as socket:
        for at in range(0, len(sound), 6400):
            socket.send(sound[at : at + 6400])
            told.append(json.loads(socket.recv(timeout=20)))
        socket.send('{"eof": 1}')
        told.append(json.loads(socket.recv(timeout=20)))
    assert [one["text"] for one in told if one.get("text")] == [SAID] * 3
    assert {"ca", "carrot", "carrot stu"} & {one["partial"] for one in told if "partial" in one}


def test_a_vocabulary_is_refused_on_the_socket_too(address: str) -> None:
    with connect(f"{address.replace('http', 'ws', 1)}/v1/vosk?sample_rate=16000") as socket:
        socket.send(json.dumps({"config": {"phrase_list": ["carrot"]}}))
        socket.send(bytes(6400))
        told = json.loads(socket.recv(timeout=20))
    assert "takes no vocabulary" in json.dumps(told)


def test_a_file_becomes_its_text_on_the_page(address: str, recording: Path, playwright: Playwright) -> None:
    with chromium(playwright) as browser:
        page, watch = open_page(new_profile(browser), address)
        open_tab(page, "Transcribe")
        page.locator("#transcribe-file input[type=file]").set_input_files(recording)
        page.locator("#transcribe-file").get_by_text(recording.suffix).first.wait_for()
        before = last_job(page, "transcribe")
        page.locator("#transcribe-go").click()
        until_done(page, "transcribe", before)
        expect(page.locator(".t-text .w")).to_have_text(SAID.split() * 3)
        watch.check()


def test_without_its_packages_the_start_says_what_to_type(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "ONNX_PACKAGES", ("no_such_package",))
    with pytest.raises(ModelMissing, match=r"requirements-onnx\.txt"):
        build_vosk(settings_in(tmp_path), folder)
