"""The Transcribe tab in a real browser, on the real demo model: files of several kinds, chosen and dropped, cancel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.ui.transcript_view import NO_SPEECH
from engines.speech.vosk_engine import VoskEngine
from tests.app.conftest import Served
from tests.app.ui.steps import choose_recordings, drop, last_job, open_tab, problem, transcribe, until_done
from tests.app.ui.test_endpoints import write_sound
from tests.browser import Watch, new_profile, open_page
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
def opened(browser: Browser, address: str) -> Iterator[tuple[Page, Watch]]:
    """One page for all tests, because loading it takes longer than they do."""
    page, watch = open_page(new_profile(browser), address)
    yield page, watch
    page.context.close()


@pytest.fixture
def tab(opened: tuple[Page, Watch]) -> Iterator[Page]:
    page, watch = opened
    open_tab(page, "Transcribe")
    yield page
    watch.check()


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
    choose_recordings(tab, *files[:3])
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Click to Upload").press("Enter")
    chooser.value.set_files(files[3])
    expect(tab.locator("#transcribe-file tr.file")).to_have_count(4)
    # What Gradio calls its buttons there is a text, and not the name of one.
    names = tab.locator("#transcribe-file button").evaluate_all("all => all.map(one => one.title + one.ariaLabel)")
    assert [name for name in names if "common." in name] == []
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


def test_what_is_no_sound_is_said_in_plain_words(tab: Page, tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("this is not sound at all, it is a text\n" * 20)
    transcribe(tab, text)
    expect(tab.locator("#transcribe-status .problem")).to_contain_text("cannot be read as sound or video")
    expect(tab.locator("#transcribe-go")).to_be_enabled()


def test_what_is_dropped_is_transcribed_in_the_place_of_what_was_chosen(tab: Page) -> None:
    choose_recordings(tab, SPEECH / "sentence.wav")
    name = tab.locator("carrot-transcript h2")
    # On the list of what was chosen, which Gradio would leave to the browser; of a kind that has no name there.
    drop(tab, "first.amr", "", (SPEECH / "digits.wav").read_bytes(), on="#transcribe-file .file-preview")
    expect(name).to_have_text("first.amr")
    expect(text_of(tab)).to_have_text(DIGITS)
    expect(tab.locator("#transcribe-go")).to_be_enabled()
    # On the empty box, which takes it by itself.
    choose_recordings(tab)
    drop(tab, "second.wav", "audio/wav", (SPEECH / "sentence.wav").read_bytes(), on="#transcribe-file button")
    expect(name).to_have_text("second.wav")
    expect(text_of(tab)).to_have_text(SENTENCE)
    # What is chosen waits for the button, also after a drop.
    before = last_job(tab, "transcribe")
    choose_recordings(tab, SPEECH / "digits.wav")
    open_tab(tab, "Library")
    expect(tab.locator("#drop-note")).to_be_hidden()
    assert drop(tab, "notes.pdf", "application/pdf", b"%PDF") == "none"
    open_tab(tab, "Transcribe")
    assert last_job(tab, "transcribe") == before
    expect(tab.locator("#transcribe-go")).to_be_enabled()


def test_nothing_chosen_is_said_beside_the_field(tab: Page) -> None:
    choose_recordings(tab)
    tab.locator("#transcribe-go").click()
    assert problem(tab, "transcribe-file") == "Choose an audio or video file first."


def test_cancel_stops_a_transcription(page: Page, served: Served) -> None:
    served.speech.gate.clear()
    open_tab(page, "Transcribe")
    choose_recordings(page, SPEECH / "sentence.wav")
    page.locator("#transcribe-go").click()
    expect(page.locator("#transcribe-cancel")).to_be_enabled()
    page.locator("#transcribe-cancel").click()
    expect(page.locator("#transcribe-status")).to_contain_text("Cancelled.")
    expect(page.locator("#transcribe-go")).to_be_enabled()


def test_the_text_grows_while_it_is_heard(page: Page, served: Served, tmp_path: Path) -> None:
    served.speech.gate.clear()
    open_tab(page, "Transcribe")
    choose_recordings(page, write_sound(tmp_path))
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


def test_one_press_transcribes_the_example(tab: Page) -> None:
    tab.evaluate("sessionStorage.clear()")
    tab.reload()
    tab.locator("#transcribe-example").click()
    until_done(tab, "transcribe")
    expect(tab.locator("#transcribe-result")).to_contain_text("good morning and welcome to the carrot app")
    expect(tab.locator("#transcribe-example")).to_be_hidden()
