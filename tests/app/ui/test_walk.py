"""The first minutes as people spend them, on the studio as it is started, at three widths: one press, one picture; one
drop, one transcript; a reload in the middle; two browser tabs; a studio that is killed and comes back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from PIL import ImageStat
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app.ui.steps import drop, open_tab, pictures, start, unfold, until_done
from tests.browser import DESKTOP, PHONE, SLOW_MS, TABLET, new_profile, open_page
from tests.conftest import ROOT, Launched, launched
from tests.serving import free_port

SPEECH = ROOT / "tests" / "data" / "speech"
SENTENCE = json.loads((SPEECH / "sentences.json").read_text())["sentence.wav"]
SIZES = {"390": PHONE, "820": TABLET, "1440": DESKTOP}


@dataclass(slots=True)
class Place:
    """A studio that can be killed, with the jobs that it had when it is started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    _running: ExitStack = field(default_factory=ExitStack)
    _studio: Launched | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Launched:
        if self._studio is None:
            self._studio = self._running.enter_context(launched(self.folder, port=self.port))
        return self._studio

    def kill(self) -> None:
        self._running.close()
        self._studio = None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    it = Place(tmp_path_factory.mktemp("place"))
    yield it
    it.kill()


@pytest.fixture(params=SIZES)
def visitor(browser: Browser, place: Place, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page in somebody's browser of this width."""
    place.start()
    profile = new_profile(browser, size=SIZES[request.param])
    page, watch = open_page(profile, place.url)
    yield page
    profile.close()
    watch.check()


def press(it: Locator) -> None:
    """With a finger where there is one."""
    touch = it.page.evaluate("navigator.maxTouchPoints > 0")
    it.tap() if touch else it.click()


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_press_a_drop_a_reload_and_a_second_tab(visitor: Page, place: Place) -> None:
    page = visitor
    # One press, one picture, and it is in view.
    press(page.locator("#avatar-example-1"))
    until_done(page, "avatar", within_ms=2 * SLOW_MS)
    expect(page.locator("#avatar-gallery img")).to_be_in_viewport(ratio=0.9)
    [picture] = pictures(page, "avatar")
    assert min(picture.size) >= 256
    assert max(ImageStat.Stat(picture.convert("RGB")).stddev) > 20
    fits(page)
    # One drop, one transcript, from whichever tab.
    told = drop(page, "sentence.wav", "audio/wav", (SPEECH / "sentence.wav").read_bytes())
    assert told == '"Drop it to transcribe it"'
    expect(page.locator("carrot-transcript .t-text p")).to_have_text(SENTENCE)
    expect(page.locator("#transcribe-file")).to_contain_text("sentence")
    fits(page)
    # A reload in the middle: of a job that is only ever cancelled.
    open_tab(page, "Hero")
    unfold(page, "hero")
    page.locator("#hero-steps input").fill("150")
    start(page, "hero", "mountains at sunset", count=8)
    expect(page.locator("#hero-status")).to_contain_text("step")
    page.reload()
    expect(page.locator("#hero-status")).to_contain_text("step")
    expect(page.locator("#hero-prompt textarea")).to_have_value("mountains at sunset")
    # A second browser tab has work of its own.
    other, watch = open_page(page.context, place.url)
    expect(other.locator("#avatar-cancel")).to_be_disabled()
    press(other.locator("#avatar-example-2"))
    expect(other.locator("#avatar-status")).to_contain_text("Waiting: 1 job ahead")
    press(page.locator("#hero-cancel"))
    expect(page.locator("#hero-status")).to_contain_text("Cancelled.")
    until_done(other, "avatar", within_ms=2 * SLOW_MS)
    expect(other.locator("#avatar-gallery img")).to_have_count(1)
    expect(page.locator("#hero-gallery img")).to_have_count(0)
    watch.check()


@pytest.mark.timeout(600)
def test_a_killed_studio_that_starts_again_finds_pages_and_jobs_as_they_were(place: Place, browser: Browser) -> None:
    """Three people are at it: of one the picture is being drawn, the others wait."""
    studio = place.start()
    # Consoles are not looked at: a browser tells there of every request that fails.
    people = {name: new_profile(browser, size=size).new_page() for name, size in SIZES.items()}
    for page in people.values():
        page.goto(f"{place.url}/?tab=hero")
        page.locator("#hero-go").wait_for()
        unfold(page, "hero")
        page.locator("#hero-prompt textarea").fill("mountains at sunset")
    first, *others = people.values()
    first.locator("#hero-steps input").fill("150")
    first.locator("#hero-go").click()
    expect(first.locator("#hero-status")).to_contain_text("step")
    # Held, or it would be drawn before all is typed on a machine that draws fast and opens pages slowly.
    os.kill(studio.image_process, signal.SIGSTOP)
    for page in others:
        page.locator("#hero-steps input").fill("4")
        page.locator("#hero-go").click()
    for name, page in people.items():
        page.wait_for_function("(sessionStorage['carrot-jobs-hero'] ?? '').length > 4")
        page.locator("#hero-prompt textarea").fill(f"what was typed at {name} since then")
        page.wait_for_function("sessionStorage['carrot-form-hero'].includes('since then')")
    jobs = [page.evaluate("JSON.parse(sessionStorage['carrot-jobs-hero'])") for page in people.values()]
    place.kill()
    for page in people.values():
        expect(page.locator(".connection")).to_be_visible()
        assert page.get_by_test_id("toast-text").count() == 0
        fits(page)
    place.start()
    for name, page in people.items():
        expect(page.locator(".connection")).to_be_hidden()
        expect(page.locator("#hero-prompt textarea")).to_have_value(f"what was typed at {name} since then")
        until_done(page, "hero", within_ms=4 * SLOW_MS)
        expect(page.locator("#hero-gallery img")).to_have_count(1)
        assert page.get_by_test_id("toast-text").count() == 0
    with httpx.Client(base_url=place.url, timeout=60) as http:
        told = [http.get(f"/jobs/{job_id}").json() for job_id in jobs]
    assert [(job["state"], job["attempt"]) for job in told] == [("succeeded", 2), ("succeeded", 1), ("succeeded", 1)]
    for page in people.values():
        page.context.close()
