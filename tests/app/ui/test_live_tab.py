"""The Record button in a real browser: Chromium's fake microphone, the real demo model, and microphones that fail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect
from websockets.sync.client import connect

from app.jobs.model import JobState
from app.studio import Studio
from engines.speech.vosk_engine import VoskEngine
from tests.app.ui.steps import open_tab
from tests.browser import chromium, microphone_flags, new_profile, open_page
from tests.serving import create_app, make_studio, serving, settings_in, until
from tests.small_engines import BlobEngine

ROOT = Path(__file__).parents[3]
SPEECH = ROOT / "tests" / "data" / "speech"
TEXT: str = json.loads((SPEECH / "sentences.json").read_text())["longer.wav"]
BEGINNING = "good morning today the weather is sunny"


@dataclass
class Recording:
    url: str
    studio: Studio

    @property
    def sessions(self) -> int:
        return sum(job.kind == "live" and job.state is JobState.RUNNING for job in self.studio.queue.unfinished())


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    speech = VoskEngine(ROOT / "models" / "vosk-demo-en")
    made = make_studio(settings_in(tmp_path_factory.mktemp("data"), live_sessions=2), BlobEngine(), speech)
    with serving(create_app(made)) as url:
        yield Recording(url, made)


@pytest.fixture(scope="module")
def hearing(playwright: Playwright) -> Iterator[Browser]:
    """A browser whose microphone hears a long recording, over and over, from when it is opened."""
    with chromium(playwright, *microphone_flags(SPEECH / "longer.wav")) as browser:
        yield browser


@pytest.fixture
def page(hearing: Browser, studio: Recording) -> Iterator[Page]:
    profile = new_profile(hearing)
    page, watch = open_page(profile, studio.url)
    to_recording(page)
    yield page
    profile.close()
    watch.check()
    until(lambda: not studio.sessions)


def to_recording(page: Page) -> None:
    open_tab(page, "Transcribe")
    page.get_by_role("tab", name="Record", exact=True).click()


def test_words_appear_in_grey_settle_and_become_a_transcript(page: Page) -> None:
    expect(page.locator("#transcribe-go")).to_be_hidden()
    page.locator("#live-record").click()
    # Both in one look: the sentence may settle between two.
    page.wait_for_function(
        """() => document.querySelector('#live-partial').textContent.includes('good morning')
            && document.querySelector('#live-settled').textContent === ''"""
    )
    grey = page.locator("#live-partial").evaluate("it => getComputedStyle(it).color")
    expect(page.locator("#live-settled")).to_contain_text(BEGINNING)
    assert grey != page.locator("#live-settled").evaluate("it => getComputedStyle(it).color")
    expect(page.locator("#live-record")).to_have_text(re.compile(r"Stop · \d:\d\d"))
    page.locator("#live-record").click()
    # Stopping finishes by itself: nothing else is pressed.
    page.locator("#transcribe-status .done").wait_for()
    said = page.locator("#live-settled").inner_text()
    # Where it was stopped decides how many paragraphs it comes to.
    paragraphs = page.locator("carrot-transcript .t-text p")
    paragraphs.first.wait_for()
    assert " ".join(paragraphs.all_inner_texts()) == said
    # All of it from the first word, in order, and no sound is missing in the middle. A word that the stop cut through
    # may be heard as two.
    assert said.startswith(BEGINNING)
    assert TEXT.startswith(said.rsplit(" ", 2)[0])
    expect(page.locator("#live-record")).to_have_text("Record")
    expect(page.locator("#transcribe-recent")).to_contain_text("live")


def test_a_closed_tab_frees_the_worker_and_keeps_what_was_said(page: Page, studio: Recording) -> None:
    page.locator("#live-record").click()
    expect(page.locator("#live-partial")).to_contain_text("good morning")
    assert studio.sessions == 1
    page.close()
    until(lambda: not studio.sessions)


def test_a_studio_that_can_hear_no_more_says_so(hearing: Browser, studio: Recording) -> None:
    # In a page of its own: the browser writes the refusal into its console.
    page, _ = open_page(new_profile(hearing), studio.url)
    to_recording(page)
    with ExitStack() as others:
        for _ in range(2):
            others.enter_context(connect(f"{studio.url.replace('http', 'ws')}/v1/vosk"))
        page.locator("#live-record").click()
        expect(page.locator("#live-note")).to_contain_text("try again in a moment")
    until(lambda: not studio.sessions)
    page.locator("#live-record").click()
    expect(page.locator("#live-partial")).to_contain_text("good")
    page.context.close()


def test_a_microphone_that_cannot_be_used_is_explained(page: Page) -> None:
    for error, remedy in (
        ("NotAllowedError", "Allow it beside the address"),
        ("NotFoundError", "Connect one"),
        ("NotReadableError", "Close that program"),
    ):
        page.evaluate(
            "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', name)); }", error
        )
        page.locator("#live-record").click()
        expect(page.locator("#live-note.problem")).to_contain_text(remedy)
        expect(page.locator("#live-record")).to_have_text("Record")


def test_a_microphone_that_is_muted_is_noticed(playwright: Playwright, studio: Recording) -> None:
    with chromium(playwright, *microphone_flags(SPEECH / "silence.wav")) as deaf:
        page, _ = open_page(new_profile(deaf), studio.url)
        to_recording(page)
        page.locator("#live-record").click()
        expect(page.locator("#live-note")).to_contain_text("Is the microphone muted")
        page.locator("#live-record").click()
        expect(page.locator("#live-note")).to_contain_text("No words were heard.")
