"""The Transcribe tab in a real browser, on the real demo model: files of several kinds, the microphone, cancel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Playwright, expect

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
SENTENCES: dict[str, str] = json.loads((SPEECH / "sentences.json").read_text())
SENTENCE, DIGITS = SENTENCES["sentence.wav"], SENTENCES["digits.wav"]


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


def text_of(page: Page) -> Locator:
    return page.locator("carrot-transcript .t-text p")


@pytest.mark.parametrize("ending", ["wav", "m4a", "ogg", "webm", "mp4"])
def test_a_file_of_any_kind_becomes_its_text(tab: Page, ending: str) -> None:
    transcribe(tab, SPEECH / f"sentence.{ending}")
    expect(text_of(tab)).to_have_text(SENTENCE)


def test_words_captions_and_recent_come_with_the_text(tab: Page) -> None:
    transcribe(tab, SPEECH / "sentence.wav")
    words = tab.locator(".t-text .w")
    expect(words).to_have_text(SENTENCE.split())
    assert re.fullmatch(r"0:00 · \d+ % sure", words.first.get_attribute("title") or "")
    expect(tab.locator("#transcribe-status")).to_contain_text("demo model")
    for ending, part in (
        ("srt", "-->"),
        ("vtt", "WEBVTT"),
        ("txt", SENTENCE),
        ("tsv", "start\tend"),
        ("json", '"confidence"'),
    ):
        with tab.expect_download() as download:
            tab.get_by_role("link", name=ending.upper(), exact=True).click()
        assert download.value.suggested_filename == f"sentence.{ending}"
        assert part in Path(download.value.path()).read_text()
    tab.reload()
    open_tab(tab, "Transcribe")
    recent = tab.locator("#transcribe-recent button").first
    expect(recent).to_contain_text("sentence.wav")
    recent.click()
    expect(text_of(tab)).to_have_text(SENTENCE)


def test_several_files_are_jobs_of_their_own(tab: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_text("this is not sound at all, it is a text\n" * 20)
    files = [SPEECH / "sentence.wav", broken, SPEECH / "digits.wav", SPEECH / "silence.wav"]
    tab.locator("#transcribe-file input[type=file]").set_input_files(files)
    tab.locator("#transcribe-file").get_by_text("silence").first.wait_for()
    tab.locator("#transcribe-go").click()
    lines = tab.locator("#transcribe-files li")
    expect(lines).to_have_count(4)
    for number, told in enumerate(("Done", "cannot be read as sound", "Done", NO_SPEECH)):
        expect(lines.nth(number)).to_contain_text(files[number].name)
        expect(lines.nth(number)).to_contain_text(told)
    expect(tab.locator("#transcribe-status")).to_contain_text("4 of 4 done.")
    expect(tab.locator("#transcribe-go")).to_be_enabled()
    expect(text_of(tab)).to_have_text(SENTENCE)
    lines.nth(2).locator("button").click()
    expect(tab.locator("carrot-transcript h2")).to_have_text("digits.wav")
    expect(text_of(tab)).to_have_text(DIGITS)


def test_a_file_without_speech_is_a_neutral_notice_and_an_empty_text(tab: Page) -> None:
    transcribe(tab, SPEECH / "silence.wav")
    expect(tab.locator("#transcribe-status .note")).to_contain_text(NO_SPEECH)
    expect(tab.locator("carrot-transcript .t-none")).to_have_text(NO_SPEECH)
    expect(tab.locator("carrot-transcript .t-text")).to_have_count(0)
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
    expect(page.locator("#transcribe-heard")).to_have_text("word1 word2")
    expect(page.locator("#transcribe-status .running")).to_be_visible()
    assert served.running()
    page.reload()
    open_tab(page, "Transcribe")
    expect(page.locator("#transcribe-heard")).to_have_text("word1 word2")
    served.speech.gate.set()
    page.locator("#transcribe-status .done").wait_for()
    expect(page.locator("#transcribe-heard")).to_be_hidden()
    expect(text_of(page)).to_have_text("word1 word2")


def test_the_page_says_where_recording_does_not_work(page: Page) -> None:
    open_tab(page, "Transcribe")
    page.get_by_role("tab", name="Record", exact=True).click()
    expect(page.locator(".insecure-note")).to_be_hidden()
    page.evaluate("document.documentElement.classList.add('insecure')")
    expect(page.locator(".insecure-note")).to_be_visible()
