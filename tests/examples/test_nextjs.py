"""The Next.js app from the npm registry to a browser: over the real studio, speech service and Firestore emulator."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.app.cli.test_transcriber import SENTENCE, SPEECH
from tests.app.delivery.conftest import emulator, programs
from tests.app.delivery.emulator import Emulator
from tests.browser import DESKTOP, PHONE, SLOW_MS, chromium, microphone_flags, new_profile, watched
from tests.examples.nextjs import SOURCE, Town, build, clean, town
from tests.serving import create_api, make_studio, serving, settings_in, until
from tests.small_engines import BlobEngine, EchoSpeech

__all__ = ["emulator", "programs"]

expect.set_options(timeout=SLOW_MS)
MARK = "Placeholder: the image service cannot be reached."
REFUSED = "503 (Service Unavailable)"
"""A browser logs each such answer by itself."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nextjs")
    build(folder)
    return folder


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: what is served is not the test's matter."""


@pytest.fixture(scope="module")
def recordings() -> Iterator[str]:
    """Where the test recordings can be fetched, as from Firebase's storage."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(SPEECH))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def place(built: Path, emulator: Emulator, recordings: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(built, tmp_path_factory.mktemp("town"), emulator, fetch_hosts=recordings) as running:
        yield running


@pytest.fixture(scope="module")
def profile() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright, chromium(playwright, *microphone_flags(SPEECH / "sentence.wav")) as browser:
        yield new_profile(browser, size=PHONE)


@pytest.fixture
def page(profile: BrowserContext) -> Iterator[Page]:
    """After the test: no error in its console but those that it provoked, no request to another machine."""
    page = profile.new_page()
    watch = watched(page)
    yield page
    page.close()
    watch.check(REFUSED)


def drawn(page: Page, within: str, count: int) -> None:
    """So many pictures of the studio's are there, whole."""
    pictures = page.locator(f"{within} img[src^='/api/files/']")
    expect(pictures).to_have_count(count)
    for picture in pictures.all():
        until(lambda one=picture: one.evaluate("image => image.complete && image.naturalWidth > 255"), 60)  # type: ignore[misc]


@pytest.mark.timeout(600)
def test_the_committed_types_are_those_of_the_studio(built: Path, tmp_path: Path) -> None:
    studio = make_studio(settings_in(tmp_path), BlobEngine(), EchoSpeech())
    with serving(create_api(studio)) as url:
        command = ["npm", "run", "types"]
        subprocess.run(command, cwd=built, env={**clean(), "VAST_AI_URL": url}, check=True, capture_output=True)
    made = (built / "lib" / "studio-api.ts").read_text()
    assert made == (SOURCE / "lib" / "studio-api.ts").read_text(), "in examples/nextjs, beside a studio: npm run types"


def test_placeholders_say_so_while_the_studio_is_away_and_are_replaced_when_it_is_back(
    place: Town, page: Page, profile: BrowserContext
) -> None:
    page.goto(f"{place.app}/avatar")
    expect(page.get_by_text("The looks cannot be listed")).to_be_visible()
    page.get_by_label("Your name").fill("Ada Lovelace")
    page.get_by_label("What does it show?").fill("a woman with red hair")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text(MARK)).to_be_visible()
    expect(page.get_by_label("Placeholder with the initials AL")).to_be_visible()

    hero = profile.new_page()
    watch = watched(hero)
    hero.goto(f"{place.app}/hero")
    hero.get_by_label("Title").fill("Snowy mountains at sunset")
    hero.get_by_role("button", name="Publish").click()
    expect(hero.get_by_text(MARK)).to_be_visible()
    # The post is there without its picture, and says so to whoever opens it.
    hero.get_by_role("link", name="Open the post").click()
    expect(hero.get_by_role("heading", name="Snowy mountains at sunset")).to_be_visible()
    expect(hero.get_by_label("Placeholder with a gradient")).to_be_visible()
    expect(hero.get_by_text(MARK)).to_be_visible()

    # For who is impatient.
    with hero.expect_request("**/api/img"):
        hero.get_by_role("button", name="Try now").click()
    expect(hero.get_by_text(MARK)).to_be_visible()
    # From here on it is tried without anybody's doing.
    place.start_studio()
    drawn(page, "main", 1)
    drawn(hero, "main", 1)
    expect(page.get_by_label("Look")).to_be_enabled()
    for one in (page, hero):
        expect(one.get_by_text(MARK)).to_have_count(0)
        expect(one.get_by_role("img", name=re.compile("Placeholder"))).to_have_count(0)
    # From Firestore, where the studio has put it: the very same picture.
    shown = hero.locator("main img").get_attribute("src")
    until(lambda: "hero.png" in str(hero.reload()) or hero.locator("article > img").count(), 60)
    assert hero.locator("article > img").get_attribute("src") == shown
    watch.check(REFUSED)


def test_a_studio_killed_in_the_middle_costs_nothing(place: Town, page: Page) -> None:
    place.start_studio()
    page.goto(f"{place.app}/avatar")
    page.get_by_label("What does it show?").fill("a bearded man with glasses")
    page.get_by_label("Look").select_option(label="Flat illustration")
    page.get_by_label("How many?").fill("4")
    page.get_by_role("button", name="Make it").click()
    page.locator("[data-phase=running]").wait_for()
    place.kill_studio()
    expect(page.get_by_text("Reconnecting")).to_be_visible()
    job_id = page.locator("[data-job]").get_attribute("data-job")
    # Also for who comes back later.
    page.reload()
    expect(page.get_by_label("What does it show?")).to_have_value("a bearded man with glasses")
    place.start_studio()
    drawn(page, "main", 4)
    assert page.locator("[data-job]").get_attribute("data-job") == job_id
    job = place.ask_studio(f"/jobs/{job_id}").json()
    assert (job["state"], job["attempt"]) == ("succeeded", 2)
    assert job["request"]["preset"] == "flat-illustration"
    # Told by the webhook, once.
    until(lambda: "a bearded man with glasses" in httpx.get(place.app, timeout=30).text, 60)
    page.goto(place.app)
    expect(page.get_by_alt_text("a bearded man with glasses")).to_have_count(1)


def test_a_voice_post_is_recorded_heard_and_kept(place: Town, page: Page) -> None:
    place.start_studio()
    page.goto(f"{place.app}/voice")
    page.get_by_label("Title").fill("My first words")
    page.get_by_role("button", name="Record").click()
    # One whole round of what the fake microphone says over and over.
    expect(page.get_by_text("0:05")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("link", name="Open the post").click()
    expect(page.get_by_role("heading", name="My first words")).to_be_visible()
    expect(page.locator("ol")).to_contain_text("voice message")
    expect(page.locator("ol time").first).to_have_text("0:00")


def test_every_page_fits_a_phone_and_a_desktop(place: Town, page: Page) -> None:
    place.start_studio()
    page.goto(f"{place.app}/hero")
    page.get_by_label("Title").fill("Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen")
    page.get_by_role("button", name="Publish").click()
    drawn(page, "main", 1)
    post = page.get_by_role("link", name="Open the post").get_attribute("href")
    for path in ("/", "/avatar", "/hero", "/voice", post):
        page.goto(f"{place.app}{path}")
        for width, height in (PHONE, DESKTOP):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") == width, path


def test_the_speech_services_interface_is_passed_on(place: Town, recordings: str) -> None:
    sent = {"postId": "p-1", "audioUrl": f"{recordings}/sentence.mp3", "mediaType": "audio/mpeg"}
    answer = httpx.post(f"{place.app}/api/transcribe", json=sent, timeout=120)
    assert (answer.status_code, answer.json()["transcription"]) == (200, SENTENCE)
    refused = httpx.post(f"{place.app}/api/transcribe", json={**sent, "audioUrl": "https://evil.example/a.mp3"})
    assert refused.status_code in (400, 422)
    assert (refused.json()["success"], "transcription" in refused.json()) == (False, False)


def test_what_is_not_a_visitors_is_refused(place: Town) -> None:
    forged = {"webhook-id": "m-1", "webhook-timestamp": "1700000000", "webhook-signature": "v1,AAAA"}
    message = json.dumps({"type": "job.completed", "data": {"job_id": 20 * "a"}})
    assert httpx.post(f"{place.app}/api/webhook", content=message, headers=forged).status_code == 401
    wish = {"kind": "avatar", "key": "00000000-0000-4000-8000-000000000000", "prompt": "a knight"}
    other_site = httpx.post(f"{place.app}/api/img", json=wish, headers={"Sec-Fetch-Site": "cross-site"})
    assert (other_site.status_code, other_site.json()["error"]["type"]) == (403, "other_site")
    no_key = httpx.post(f"{place.app}/api/img", json={**wish, "key": "1"})
    assert (no_key.status_code, no_key.json()["error"]["field"]) == (422, "key")
    page = httpx.get(f"{place.app}/avatar").text
    assert place.token not in page
    assert place.studio not in page
