"""The microphone of the studio's own machine, chosen on the page: ALSA plays it from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.app.conftest import Served
from tests.app.ui.steps import open_tab
from tests.browser import PHONE, new_profile, open_page
from tests.conftest import Launched, launched
from tests.microphone import DIGITS, RATE, alsa, speaking


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="module")
def studio(room: Path) -> Iterator[Launched]:
    config = alsa(room)["ALSA_CONFIG_PATH"]
    with launched(room, STUDIO_MICROPHONE="1", ALSA_CONFIG_PATH=config) as running:
        yield running


def test_words_said_at_the_studio_appear_on_the_page(studio: Launched, room: Path, browser: Browser) -> None:
    profile = new_profile(browser, size=PHONE)
    # ALSA waits for somebody at the other end already when it is asked what there is.
    with speaking(room):
        page, watch = open_page(profile, studio.url)
        open_tab(page, "Transcribe")
        page.get_by_role("tab", name="Record", exact=True).click()
        choice = page.get_by_label("Microphone", exact=True)
        # The browser's own stays the first choice.
        expect(choice).to_have_value("")
        choice.select_option(label="default")
        record = page.locator("#live-record")
        record.click()
        expect(page.locator("#live-words")).to_contain_text(DIGITS)
        record.click()
        expect(record).to_have_text("Record")
    expect(page.locator("#transcribe-result")).to_contain_text(DIGITS)
    watch.check()
    profile.close()


def test_a_program_hears_it_too_and_is_told_of_a_wrong_number(studio: Launched, room: Path) -> None:
    address = studio.url.replace("http", "ws") + "/v1/microphones"
    with speaking(room):
        (microphone,) = httpx.get(f"{studio.url}/v1/microphones", timeout=30).json()["microphones"]
        assert microphone == {"number": microphone["number"], "name": "default", "sample_rate": RATE, "default": True}
        with connect(f"{address}/{microphone['number']}") as socket:
            assert json.loads(socket.recv(timeout=30)) == {"sample_rate": RATE, "name": "default"}
            assert len(socket.recv(timeout=30)) == RATE // 10 * 2
            socket.send("end")
            assert all(isinstance(message, bytes) for message in socket)
            assert socket.close_code == 1000
        for wrong in ("99", "kitchen"):
            with connect(f"{address}/{wrong}") as socket:
                error = json.loads(socket.recv(timeout=30))["error"]
                assert error["code"] == "no_microphone"
                assert wrong in error["message"]
                assert "default (44100 Hz)" in error["message"]
                with pytest.raises(ConnectionClosedError, match="1011"):
                    socket.recv(timeout=30)


def test_it_is_not_offered_unless_the_studio_is_told_to(served: Served) -> None:
    assert served.http.get("/v1/microphones").status_code == 404
    assert r"id=\"live-source" not in served.http.get("/config").text
