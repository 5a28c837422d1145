"""The Library tab in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, expect

from app.ui.files import served as files_of_job
from app.ui.files import thumbnail
from app.ui.library import WORDS
from tests.app.conftest import Served, serve
from tests.app.http.test_jobs import sound
from tests.app.ui.steps import open_tab, unfold
from tests.browser import Watch, new_profile, watched
from tests.serving import until

ANN, BOB = "ann=a-token-of-enough-characters", "bob=another-token-long-enough-too"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), api_tokens=[ANN, BOB])


def as_account(browser: Browser, served: Served, name: str) -> tuple[BrowserContext, Page, Watch]:
    """A page of somebody who is logged in, on an empty library."""
    token = name.partition("=")[2]
    served.http.headers["Authorization"] = f"Bearer {token}"
    profile = new_profile(browser)
    page = profile.new_page()
    page.goto(served.url)
    page.locator("input[name=token]").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.locator("#avatar-go").wait_for()
    # The log-in page itself is an answer of 401.
    watch = watched(page)
    open_tab(page, "Library")
    return profile, page, watch


@pytest.fixture(scope="module")
def opened(browser: Browser, served: Served) -> Iterator[tuple[Page, Watch]]:
    """Ann's page. One for all tests, because loading it takes longer than they do."""
    profile, page, watch = as_account(browser, served, ANN)
    expect(page.get_by_role("heading", name=WORDS["empty_title"])).to_be_visible()
    expect(page.get_by_text(WORDS["empty_text"])).to_be_visible()
    yield page, watch
    profile.close()


@pytest.fixture
def page(opened: tuple[Page, Watch]) -> Iterator[Page]:
    page, watch = opened
    yield page
    watch.check()


@pytest.fixture
def library(page: Page, served: Served) -> Locator:
    """Two avatars, a hero and a transcript, and nothing else, shown with no filter."""
    for job in served.http.get("/jobs").json()["jobs"]:
        served.http.delete(f"/jobs/{job['job_id']}?forget=true").raise_for_status()
    for kind, request in (
        ("avatar", {"prompt": "A red fox", "preset": "anime", "seed": 3}),
        ("avatar", {"prompt": "A blue cat", "preset": "watercolour", "seed": 4, "count": 2}),
        ("hero", {"title": "Yellow town", "preset": "city-night", "seed": 5}),
    ):
        made(served, served.http.post("/jobs", json={"kind": kind, "request": request}))
    body = json.dumps({"kind": "transcription", "request": {"keep_audio": True}})
    talk = served.http.post("/jobs/upload", data={"job": body}, files={"audio": ("A talk.wav", sound())})
    made(served, talk)
    open_tab(page, "Transcribe")
    open_tab(page, "Library")
    shown = page.locator("carrot-library")
    # Not those of the test before, which have the same names.
    expect(shown.locator(f"[data-job='{talk.json()['job_id']}']")).to_be_visible()
    expect(names(shown)).to_have_count(4)
    return shown


def made(served: Served, answer: httpx.Response) -> None:
    path = answer.raise_for_status().json()["status_url"]
    until(lambda: served.http.get(path).json()["finished_at"])


def names(library: Locator) -> Locator:
    return library.locator(".l-name, .l-file")


def tile(library: Locator, name: str) -> Locator:
    return library.locator(".l-tile").filter(has_text=name)


def select(library: Locator, *tiles: str) -> None:
    for name in tiles:
        tile(library, name).get_by_role("checkbox").check()


def press(library: Locator, name: str) -> None:
    library.get_by_role("button", name=name, exact=True).last.click()


def jobs(served: Served, **asked: Any) -> list[str]:
    return [job.get("words", job.get("filename")) for job in served.http.get("/jobs", params=asked).json()["jobs"]]


def test_it_is_searched_and_filtered(library: Locator) -> None:
    expect(names(library)).to_have_text(["A talk.wav", "Yellow town", "A blue cat", "A red fox"])
    expect(tile(library, "A talk.wav")).to_contain_text("word1 word2 word3 word4")
    expect(tile(library, "A talk.wav")).to_contain_text("0:02 · en")
    expect(tile(library, "A blue cat")).to_contain_text("2 pictures")
    search = library.get_by_role("searchbox")
    search.fill("city at ni")
    expect(names(library)).to_have_text(["Yellow town"])
    search.fill('"word4')
    expect(names(library)).to_have_text(["A talk.wav"])
    press(library, "Heroes")
    expect(library.get_by_role("heading", name=WORDS["none_title"])).to_be_visible()
    press(library, WORDS["all_again"])
    expect(names(library)).to_have_count(4)
    press(library, "Avatars")
    expect(names(library)).to_have_text(["A blue cat", "A red fox"])
    library.get_by_label(WORDS["any_preset"]).select_option("Anime")
    expect(names(library)).to_have_text(["A red fox"])
    library.get_by_label(WORDS["any_preset"]).select_option(WORDS["any_preset"])
    press(library, "Everything")
    expect(names(library)).to_have_count(4)


def test_a_star_marks_a_favourite(library: Locator, served: Served) -> None:
    star = tile(library, "A red fox").get_by_role("button", name="Favourite")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    assert jobs(served, favourite=True) == ["A red fox"]
    press(library, "Favourites")
    expect(names(library)).to_have_text(["A red fox"])
    star.click()
    expect(star).to_have_attribute("aria-pressed", "false")
    press(library, "Favourites")
    expect(names(library)).to_have_count(4)


def test_keys_go_through_it_and_open_one(library: Locator, page: Page) -> None:
    library.locator(".l-open").first.focus()
    for key in ("End", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    dialog = library.get_by_role("dialog", name="A blue cat")
    expect(dialog.locator(".l-recipe")).to_contain_text("Watercolour")
    expect(dialog.get_by_role("img", name="A blue cat")).to_be_visible()
    dialog.get_by_role("button", name="Picture 2").click()
    expect(dialog.locator(".l-recipe")).to_contain_text("Seed5Steps")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tile(library, "A blue cat").locator(".l-open")).to_be_focused()


def test_a_transcript_is_read_and_corrected_in_it(library: Locator, page: Page) -> None:
    tile(library, "A talk.wav").locator(".l-open").click()
    dialog = library.get_by_role("dialog", name="A talk.wav")
    dialog.get_by_role("button", name="Edit", exact=True).click()
    dialog.locator("[contenteditable]").first.fill("mended words")
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(dialog.get_by_text("Saved. The downloads have your version.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(tile(library, "A talk.wav")).to_contain_text("mended words")


def test_two_pictures_are_compared(library: Locator, page: Page) -> None:
    select(library, "A red fox", "A talk.wav")
    compare = library.get_by_role("button", name="Compare", exact=True)
    expect(compare).to_be_disabled()
    tile(library, "A talk.wav").get_by_role("checkbox").uncheck()
    select(library, "Yellow town")
    expect(library.get_by_text("2 selected", exact=True)).to_be_visible()
    compare.click()
    dialog = library.get_by_role("dialog", name=WORDS["compare_title"])
    for name in ("A red fox", "Yellow town"):
        expect(dialog.get_by_role("img", name=name)).to_be_visible()
    slider = dialog.get_by_role("slider")
    expect(slider).to_be_focused()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert dialog.locator(".l-stage").evaluate("stage => getComputedStyle(stage).getPropertyValue('--at')") == "40%"
    press(dialog, "Close")


def test_what_is_selected_is_packed(library: Locator, page: Page) -> None:
    select(library, "A blue cat", "A talk.wav")
    with page.expect_download() as coming:
        press(library, WORDS["zip"])
    archive = ZipFile(BytesIO(Path(coming.value.path()).read_bytes()))
    ends = sorted(name.rpartition(".")[2] for name in archive.namelist())
    assert ends == ["json", "png", "png", "srt", "tsv", "txt", "vtt", "wav"]


def test_what_is_deleted_is_asked_about_and_gone(library: Locator, page: Page, served: Served) -> None:
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    select(library, "A red fox", "Yellow town")
    press(library, WORDS["delete"])
    assert asked == [WORDS["sure"].replace("{n}", "2")]
    expect(names(library)).to_have_count(4)
    page.once("dialog", lambda dialog: dialog.accept())
    press(library, WORDS["delete"])
    expect(library.get_by_text("2 deleted.")).to_be_visible()
    expect(names(library)).to_have_text(["A talk.wav", "A blue cat"])
    assert jobs(served) == ["A talk.wav", "A blue cat"]
    tile(library, "A blue cat").locator(".l-open").click()
    page.once("dialog", lambda dialog: dialog.accept())
    press(library.get_by_role("dialog"), WORDS["delete"])
    expect(names(library)).to_have_text(["A talk.wav"])


def test_no_copy_of_a_deleted_picture_stays_in_gradios_folder(library: Locator, served: Served) -> None:
    [listed] = served.http.get("/jobs", params={"q": "red fox"}).json()["jobs"]
    job = served.job(listed["job_id"], "ann")
    copies = [Path(thumbnail(served.studio, job)), Path(files_of_job(served.studio, job, job.files[0]))]
    assert all(path.exists() for path in copies)
    served.http.delete(f"/jobs/{job.id}?forget=true").raise_for_status()
    assert not any(path.exists() for path in copies)


def test_settings_are_used_again_on_their_tab(library: Locator, page: Page) -> None:
    tile(library, "Yellow town").locator(".l-open").click()
    press(library, WORDS["use"])
    expect(page.locator("#hero-title textarea")).to_have_value("Yellow town")
    expect(page.locator("#hero-preset label.selected")).to_have_text("City at night")
    unfold(page, "hero")
    expect(page.locator("#hero-seed input").first).to_have_value("5")
    open_tab(page, "Library")
    tile(library, "A blue cat").locator(".l-open").click()
    library.get_by_role("button", name="Picture 2").click()
    press(library, WORDS["use"])
    expect(page.locator("#avatar-prompt textarea")).to_have_value("A blue cat")
    unfold(page, "avatar")
    expect(page.locator("#avatar-seed input").first).to_have_value("5")
    open_tab(page, "Library")
    tile(library, "A talk.wav").locator(".l-open").click()
    press(library, WORDS["again"])
    expect(page.locator("#transcribe-file")).to_contain_text("A talk")
    page.locator("#transcribe-go").click()
    expect(page.locator("#transcribe-result .t-text")).to_be_visible()


def test_a_prompts_own_picture_fills_the_form_of_its_shape(library: Locator, page: Page, served: Served) -> None:
    request = {"prompt": "A green lake", "width": 96, "height": 64, "seed": 9}
    made(served, served.http.post("/jobs", json={"kind": "image", "request": request}))
    open_tab(page, "Avatar")
    open_tab(page, "Library")
    tile(library, "A green lake").locator(".l-open").click()
    press(library, WORDS["use"])
    expect(page.locator("#hero-prompt textarea")).to_have_value("A green lake")
    expect(page.locator("#hero-preset label.selected")).to_have_text("No preset")


def test_nobody_sees_what_another_has_made(library: Locator, browser: Browser, served: Served) -> None:
    profile, page, watch = as_account(browser, served, BOB)
    try:
        expect(page.get_by_text(WORDS["empty_text"])).to_be_visible()
        bob = page.locator("carrot-library")
        bob.get_by_role("searchbox").fill("fox")
        expect(page.get_by_text(WORDS["none_text"])).to_be_visible()
        # As somebody would who knows the id of another's job.
        served.http.headers["Authorization"] = f"Bearer {ANN.partition('=')[2]}"
        [job] = served.http.get("/jobs", params={"q": "red fox"}).json()["jobs"]
        page.evaluate(
            f"window.carrotLibraryChoice = '{job['job_id']}:0'; document.querySelector('#library-use').click()"
        )
        expect(page.locator("#library-status")).to_contain_text("There is no job")
        watch.check()
    finally:
        profile.close()


def test_more_are_loaded_and_the_first_of_them_has_the_focus(library: Locator, page: Page, served: Served) -> None:
    for number in range(48):
        request = {"prompt": f"number {number}", "width": 64, "height": 64}
        answer = served.http.post("/jobs", json={"kind": "image", "request": request})
    made(served, answer)
    open_tab(page, "Avatar")
    open_tab(page, "Library")
    expect(names(library)).to_have_count(48)
    press(library, WORDS["more"])
    expect(names(library)).to_have_count(52)
    expect(tile(library, "A talk.wav").locator(".l-open")).to_be_focused()
    expect(library.get_by_role("button", name=WORDS["more"])).to_be_hidden()
