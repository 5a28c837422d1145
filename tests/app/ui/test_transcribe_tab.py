"""The Transcribe tab in a real browser, on the real demo model: files of several kinds, the microphone, cancel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from app.ui.transcript_view import NO_SPEECH
from engines.speech.vosk_engine import VoskEngine
from tests.app.conftest import Served
from tests.app.ui.steps import last_job, open_tab, toast, until_done
from tests.app.ui.test_endpoints import write_sound
from tests.browser import chromium, microphone_flags, new_profile, open_page
from tests.serving import create_app, make_studio, serving, settings_in
from tests.small_engines import BlobEngine

ROOT = Path(__file__).parents[3]
SPEECH = ROOT / "tests" / "data" / "speech"
SENTENCE: str = json.loads((SPEECH / "sentences.json").read_text())["sentence.wav"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio with the built-in speech model."""
    speech = VoskEngine(ROOT / "models" / "vosk-demo-en")
    studio = make_studio(settings_in(tmp_path_factory.mktemp("data")), BlobEngine(), speech)
    with serving(create_app(studio)) as url:
        yield url


@pytest.fixture(scope="module")
def hearing(playwright: Playwright) -> Iterator[BrowserContext]:
    """A profile whose microphone hears the sentence."""
    with chromium(playwright, *microphone_flags(SPEECH / "sentence.wav")) as browser:
        yield new_profile(browser)


@pytest.fixture
def tab(hearing: BrowserContext, address: str) -> Iterator[Page]:
    page, watch = open_page(hearing, address)
    open_tab(page, "Transcribe")
    yield page
    page.close()
    assert watch.problems == []
    assert watch.strangers == []


def transcribe(page: Page, file: Path) -> None:
    page.locator("#transcribe-file input[type=file]").set_input_files(file)
    page.locator("#transcribe-file").get_by_text(file.suffix).first.wait_for()
    before = last_job(page, "transcribe")
    page.locator("#transcribe-go").click()
    until_done(page, "transcribe", before)


def cell(page: Page, table: str, row: int, column: int) -> str:
    return page.locator(f"#transcribe-{table}").get_by_test_id(f"cell-{row}-{column}").inner_text().strip()


@pytest.mark.parametrize("ending", ["wav", "m4a", "ogg", "webm", "mp4"])
def test_a_file_of_any_kind_becomes_its_text(tab: Page, ending: str) -> None:
    transcribe(tab, SPEECH / f"sentence.{ending}")
    expect(tab.locator("#transcribe-text textarea")).to_have_value(SENTENCE)


def test_words_captions_and_recent_come_with_the_text(tab: Page) -> None:
    transcribe(tab, SPEECH / "sentence.wav")
    expect(tab.locator("#transcribe-words-box")).to_contain_text(f"Words ({len(SENTENCE.split())})")
    for row, word in enumerate(SENTENCE.split()[:3]):
        cells = [cell(tab, "words", row, column) for column in range(4)]
        assert cells[0] == word
        assert 0 <= float(cells[1]) < float(cells[2])
        assert cells[3].endswith("%")
    expect(tab.locator("#transcribe-status")).to_contain_text("demo model")
    for ending, part in (("srt", "-->"), ("vtt", "WEBVTT"), ("txt", SENTENCE), ("json", '"confidence"')):
        with tab.expect_download() as download:
            tab.locator(f"#transcribe-{ending}").click()
        assert part in Path(download.value.path()).read_text()
    assert cell(tab, "recent", 0, 1) == "sentence.wav"
    tab.reload()
    open_tab(tab, "Transcribe")
    tab.locator("#transcribe-recent").get_by_test_id("cell-0-2").click()
    expect(tab.locator("#transcribe-text textarea")).to_have_value(SENTENCE)


def test_a_file_without_speech_is_a_neutral_notice_and_an_empty_text(tab: Page) -> None:
    transcribe(tab, SPEECH / "silence.wav")
    expect(tab.locator("#transcribe-status .note")).to_contain_text(NO_SPEECH)
    expect(tab.locator("#transcribe-text textarea")).to_have_value("")
    assert tab.get_by_test_id("toast-text").count() == 0


def test_what_is_no_sound_is_a_toast_in_plain_words(tab: Page, tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("this is not sound at all, it is a text\n" * 20)
    transcribe(tab, text)
    assert "cannot be read as sound or video" in toast(tab)
    expect(tab.locator("#transcribe-go")).to_be_enabled()


def test_nothing_chosen_is_a_toast(tab: Page) -> None:
    tab.locator("#transcribe-go").click()
    assert toast(tab) == "Choose an audio or video file first."


def test_cancel_stops_a_transcription(page: Page, served: Served) -> None:
    served.speech.gate.clear()
    open_tab(page, "Transcribe")
    page.locator("#transcribe-file input[type=file]").set_input_files(SPEECH / "sentence.wav")
    page.locator("#transcribe-file").get_by_text(".wav").first.wait_for()
    page.locator("#transcribe-go").click()
    expect(page.locator("#transcribe-cancel")).to_be_enabled()
    page.locator("#transcribe-cancel").click()
    expect(page.locator("#transcribe-status")).to_contain_text("Cancelled.")
    expect(page.locator("#transcribe-go")).to_be_enabled()


def test_the_text_grows_while_it_is_heard(page: Page, served: Served, tmp_path: Path) -> None:
    served.speech.gate.clear()
    open_tab(page, "Transcribe")
    page.locator("#transcribe-file input[type=file]").set_input_files(write_sound(tmp_path))
    page.locator("#transcribe-file").get_by_text(".wav").first.wait_for()
    page.locator("#transcribe-go").click()
    expect(page.locator("#transcribe-text textarea")).to_have_value("word1 word2")
    expect(page.locator("#transcribe-status .running")).to_be_visible()
    assert served.running()
    page.reload()
    open_tab(page, "Transcribe")
    expect(page.locator("#transcribe-text textarea")).to_have_value("word1 word2")
    served.speech.gate.set()
    page.locator("#transcribe-status .done").wait_for()
    expect(page.locator("#transcribe-text textarea")).to_have_value("word1 word2")


def test_the_page_says_where_recording_does_not_work(page: Page) -> None:
    open_tab(page, "Transcribe")
    page.get_by_role("tab", name="Record", exact=True).click()
    expect(page.locator(".insecure-note")).to_be_hidden()
    page.evaluate("document.documentElement.classList.add('insecure')")
    expect(page.locator(".insecure-note")).to_be_visible()
