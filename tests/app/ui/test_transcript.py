"""The transcript on the page: heard, searched, corrected; of ten minutes and of three hours."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.jobs.queue import Submission
from app.studio import Studio
from app.work.speech import TranscriptionRequest
from engines.results import Transcript
from engines.speech.paragraphs import paragraphs
from tests.app.ui.steps import open_tab
from tests.browser import PHONE, Watch, new_profile, open_page
from tests.engines.speech.transcripts import spoken
from tests.serving import create_app, make_studio, serving, settings_in, until
from tests.small_engines import BlobEngine
from tests.told_speech import ToldSpeech

NAME = "A walk.wav"
TEN_MINUTES, THREE_HOURS = spoken(10), spoken(180)
MOST_ELEMENTS = 6000
"""In a transcript of three hours: four a paragraph, and the words near the window. All words would be 26,000 more."""


@dataclass(slots=True)
class Told:
    """A studio whose speech engine hears what it is told."""

    url: str
    studio: Studio
    speech: ToldSpeech
    sound: Path

    def transcribed(self, transcript: Transcript, name: str = NAME) -> str:
        """The id of a job with this transcript."""
        self.speech.transcript = transcript
        request = TranscriptionRequest(filename=name, keep_audio=True)
        file = self.studio.files.take(self.sound, name)
        job = self.studio.queue.submit(Submission("transcription", request, "local", {"audio": file}))
        with httpx.Client(base_url=self.url, timeout=60) as http:
            until(lambda: http.get(f"/jobs/{job.id}").json()["finished_at"])
        return job.id


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    sound = folder / NAME
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 8000 * 300)
    speech = ToldSpeech(TEN_MINUTES)
    studio = make_studio(settings_in(folder / "data"), BlobEngine(), speech)
    with serving(create_app(studio)) as url:
        yield Told(url, studio, speech, sound)


@pytest.fixture(scope="module")
def opened(browser: Browser, told: Told) -> Iterator[tuple[Page, Watch]]:
    """One page for all tests, because loading it takes longer than they do."""
    profile = new_profile(browser)
    profile.grant_permissions(["clipboard-read", "clipboard-write"])
    page, watch = open_page(profile, told.url)
    open_tab(page, "Transcribe")
    yield page, watch
    profile.close()


@pytest.fixture
def page(opened: tuple[Page, Watch]) -> Iterator[Page]:
    page, watch = opened
    yield page
    # A correction of what somebody else has corrected is refused.
    watch.check("412 (Precondition Failed)")


def show(page: Page, job_id: str) -> Locator:
    """As a press in a list of transcripts does."""
    page.evaluate("id => document.querySelector('carrot-transcript').setAttribute('job', id)", job_id)
    shown = page.locator(f"carrot-transcript[job='{job_id}']:not([aria-busy])")
    shown.locator(".t-paragraph .w").first.wait_for()
    return shown


def now(shown: Locator) -> float:
    time: float = shown.evaluate("element => element.audio.currentTime")
    return time


def lit(shown: Locator) -> str:
    words = shown.locator(".w.lit").all_inner_texts()
    assert len(words) <= 1
    return "".join(words)


def test_paragraphs_have_their_times_and_unsure_words_are_underlined(page: Page, told: Told) -> None:
    shown = show(page, told.transcribed(TEN_MINUTES))
    expected = paragraphs(TEN_MINUTES.segments)
    expect(shown.locator("h2")).to_have_text(NAME)
    assert shown.locator(".t-paragraph p").all_inner_texts() == [part.text for part in expected]
    expect(shown.locator(".t-time").first).to_have_text("0:00")
    unsure = [word.confidence < 0.6 for word in expected[0].words]
    underlined = (
        shown.locator(".t-paragraph")
        .first.locator(".w")
        .evaluate_all("words => words.map(word => getComputedStyle(word).textDecorationLine === 'underline')")
    )
    assert underlined == unsure
    expect(shown.locator(".t-legend")).to_contain_text("the model was not sure")


def test_a_press_on_a_word_plays_it_and_it_lights_up(page: Page, told: Told) -> None:
    shown = show(page, told.transcribed(TEN_MINUTES))
    word = TEN_MINUTES.words[20]
    shown.locator(".w").nth(20).click()
    page.wait_for_function("document.querySelector('carrot-transcript').audio.currentTime > 0")
    assert word.start - 0.01 <= now(shown) < word.start + 20
    expect(shown.locator(".t-play")).to_have_attribute("aria-label", "Pause")
    shown.locator(".t-play").click()
    for number in (5, 40, 41):
        wanted = TEN_MINUTES.words[number]
        shown.evaluate("(element, time) => element.seek(time)", (wanted.start + wanted.end) / 2)
        expect(shown.locator(".w.lit")).to_have_text(wanted.word)
    shown.evaluate("element => element.seek(0)")
    expect(shown.locator(".w.lit")).to_have_count(0)


def test_what_plays_is_followed_until_somebody_scrolls(page: Page, told: Told) -> None:
    shown = show(page, told.transcribed(TEN_MINUTES))
    late = next(number for number, word in enumerate(TEN_MINUTES.words) if word.start > 200)
    shown.evaluate("(element, word) => element.from(word)", late)
    page.wait_for_function("document.querySelector('.t-text').scrollTop > 50")
    follow = shown.get_by_role("button", name="Follow", exact=True)
    expect(follow).to_be_hidden()
    shown.locator(".t-text").hover()
    page.mouse.wheel(0, 2000)
    expect(follow).to_be_visible()
    follow.click()
    expect(follow).to_be_hidden()
    expect(shown.locator(".w.lit")).to_be_in_viewport()
    shown.locator(".t-play").click()


def test_the_keyboard_goes_from_word_to_word_and_plays(page: Page, told: Told) -> None:
    shown = show(page, told.transcribed(TEN_MINUTES))
    shown.locator(".t-text").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.textContent") == TEN_MINUTES.words[1].word
    page.keyboard.press("ArrowDown")
    second = paragraphs(TEN_MINUTES.segments)[1]
    assert page.evaluate("document.activeElement.textContent") == second.words[0].word
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('carrot-transcript').audio.currentTime > 1")
    assert second.start - 0.01 <= now(shown) < second.start + 20
    shown.locator(".t-play").click()


def test_finding_counts_marks_and_goes_round(page: Page, told: Told) -> None:
    shown = show(page, told.transcribed(TEN_MINUTES))
    text = "\n".join(part.text for part in paragraphs(TEN_MINUTES.segments))
    find, count = shown.get_by_role("searchbox"), shown.locator(".t-count")
    find.fill("  Water ")
    many = text.count("water")
    assert many > 2
    expect(count).to_have_text(f"1 of {many}")
    expect(shown.locator(".w.hit.now")).to_have_text("water")
    find.press("Enter")
    expect(count).to_have_text(f"2 of {many}")
    find.press("Shift+Enter")
    shown.get_by_role("button", name="Previous match").click()
    expect(count).to_have_text(f"{many} of {many}")
    expect(shown.locator(".w.hit.now")).to_be_in_viewport()
    pair = " ".join(word.word for word in TEN_MINUTES.words[3:5])
    find.fill(pair.upper())
    expect(shown.locator(".w.hit.now")).to_have_text(pair.split())
    find.fill("nowhere to be found")
    expect(count).to_have_text("0 of 0")
    expect(shown.locator(".w.hit")).to_have_count(0)


def test_a_correction_keeps_times_and_the_original(page: Page, told: Told) -> None:
    job_id = told.transcribed(TEN_MINUTES)
    shown = show(page, job_id)
    heard = paragraphs(TEN_MINUTES.segments)
    shown.get_by_role("button", name="Edit", exact=True).click()
    field = shown.locator("[contenteditable]").nth(1)
    field.click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("Gardeners ")
    shown.get_by_role("button", name="Save", exact=True).click()
    expect(shown.locator(".t-status")).to_contain_text("Saved.")
    expect(shown.locator(".t-paragraph p").nth(1)).to_have_text(f"Gardeners {heard[1].text}")
    saved = httpx.get(f"{told.url}/jobs/{job_id}/transcript").json()
    words = saved["paragraphs"][1]["words"]
    assert [word[1] for word in words[2:]] == [round(word.start, 3) for word in heard[1].words[1:]]
    with page.expect_download() as download:
        shown.get_by_role("link", name="TXT", exact=True).click()
    assert download.value.suggested_filename == "A walk.txt"
    assert "Gardeners" in Path(download.value.path()).read_text()

    shown.get_by_role("button", name="Show original").click()
    expect(shown.locator(".t-paragraph p").nth(1)).to_have_text(heard[1].text)
    expect(shown.get_by_role("button", name="Edit", exact=True)).to_be_hidden()
    shown.get_by_role("button", name="Show my version").click()
    expect(shown.locator(".t-paragraph p").nth(1)).to_contain_text("Gardeners")
    shown.get_by_role("button", name="Show original").click()
    page.once("dialog", lambda dialog: dialog.accept())
    shown.get_by_role("button", name="Discard my version").click()
    expect(shown.locator(".t-status")).to_have_text("This is the original again.")
    assert httpx.get(f"{told.url}/jobs/{job_id}/transcript").json()["edited"] is False


def test_paragraphs_are_divided_and_joined_by_keys(page: Page, told: Told) -> None:
    job_id = told.transcribed(TEN_MINUTES)
    shown = show(page, job_id)
    heard = [part.text for part in paragraphs(TEN_MINUTES.segments)]
    shown.get_by_role("button", name="Edit", exact=True).click()
    shown.locator("[contenteditable]").nth(1).click()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Backspace")
    shown.locator("[contenteditable]").nth(2).click()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(shown.locator(".t-status")).to_contain_text("Saved.")
    first, _, rest = heard[3].partition(" ")
    assert shown.locator(".t-paragraph p").all_inner_texts() == [
        f"{heard[0]} {heard[1]}",
        heard[2],
        first,
        rest,
        *heard[4:],
    ]


def test_what_was_written_is_saved_when_another_transcript_is_opened(page: Page, told: Told) -> None:
    job_id, other = told.transcribed(TEN_MINUTES), told.transcribed(TEN_MINUTES)
    shown = show(page, job_id)
    shown.get_by_role("button", name="Edit", exact=True).click()
    shown.locator("[contenteditable]").first.click()
    page.keyboard.type("Carrots ")
    show(page, other)
    until(lambda: httpx.get(f"{told.url}/jobs/{job_id}/transcript").json()["edited"])


def test_somebody_elses_newer_version_is_told_and_nothing_is_lost(page: Page, told: Told) -> None:
    job_id = told.transcribed(TEN_MINUTES)
    shown = show(page, job_id)
    shown.get_by_role("button", name="Edit", exact=True).click()
    shown.locator("[contenteditable]").first.click()
    page.keyboard.type("Carrots ")
    httpx.put(f"{told.url}/jobs/{job_id}/transcript", json={"text": "theirs"}).raise_for_status()
    shown.get_by_role("button", name="Save", exact=True).click()
    expect(shown.locator(".t-status.problem")).to_contain_text("read it again")
    expect(shown.locator("[contenteditable]").first).to_contain_text("Carrots")
    shown.get_by_role("button", name="Cancel", exact=True).click()


def test_copy_takes_the_whole_text(page: Page, told: Told) -> None:
    shown = show(page, told.transcribed(TEN_MINUTES))
    shown.get_by_role("button", name="Copy", exact=True).click()
    expect(shown.locator(".t-status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "\n\n".join(part.text for part in paragraphs(TEN_MINUTES.segments))


def test_a_recording_that_cannot_be_played_is_told(page: Page, told: Told) -> None:
    told.sound.with_name("odd.amr").write_bytes(b"#!AMR\n" + b"\x3c" * 1000)
    sound, told.sound = told.sound, told.sound.with_name("odd.amr")
    shown = show(page, told.transcribed(TEN_MINUTES, "odd.amr"))
    told.sound = sound
    expect(shown.locator(".t-clock")).to_have_text("Your browser cannot play this kind of file.")


def test_names_and_words_are_text_and_nothing_else(page: Page, told: Told) -> None:
    evil = "<img src=x onerror=alert(1)>"
    word = TEN_MINUTES.segments[0].words[0].model_copy(update={"word": evil})
    segment = TEN_MINUTES.segments[0].model_copy(update={"text": evil, "words": (word,)})
    transcript = TEN_MINUTES.model_copy(update={"segments": (segment,), "text": evil})
    shown = show(page, told.transcribed(transcript, f"{evil}.wav"))
    expect(shown.locator("h2")).to_have_text(f"{evil}.wav")
    expect(shown.locator(".w")).to_have_text(evil)
    page.reload()
    open_tab(page, "Transcribe")
    expect(page.locator("#transcribe-recent button").first).to_contain_text(evil)
    assert page.locator("img[src=x]").count() == 0


def test_three_hours_are_few_elements_wherever_one_looks(page: Page, told: Told) -> None:
    shown = show(page, told.transcribed(THREE_HOURS))

    def elements() -> int:
        count: int = shown.evaluate("element => element.querySelectorAll('*').length")
        return count

    assert elements() < MOST_ELEMENTS
    # All of it is there as text, for the browser's own search.
    assert len(shown.locator(".t-text").inner_text().split()) > len(THREE_HOURS.words)
    shown.get_by_role("searchbox").fill("water")
    for _ in range(5):
        shown.get_by_role("button", name="Previous match").click()
        expect(shown.locator(".w.hit.now")).to_be_in_viewport()
    shown.locator(".t-text").evaluate(
        "async box => { for (let at = 0; at < box.scrollHeight; at += box.scrollHeight / 20) {"
        " box.scrollTop = at; await new Promise(requestAnimationFrame); } box.scrollTop = box.scrollHeight; }"
    )
    expect(shown.locator(".t-paragraph").last.locator(".w").first).to_be_attached()
    page.wait_for_function(f"document.querySelectorAll('carrot-transcript *').length < {MOST_ELEMENTS}")
    shown.get_by_role("button", name="Edit", exact=True).click()
    shown.locator("[contenteditable]").last.click()
    page.keyboard.type("Carrots ")
    shown.get_by_role("button", name="Save", exact=True).click()
    expect(shown.locator(".t-status")).to_contain_text("Saved.")


def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, told: Told) -> None:
    job_id = told.transcribed(TEN_MINUTES)
    page, watch = open_page(new_profile(browser, size=PHONE), told.url)
    open_tab(page, "Transcribe")
    shown = show(page, job_id)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = shown.locator("button:visible, a:visible, select:visible, input[type=search]:visible").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().height < 44 || one.getBoundingClientRect().width < 44)"
        ".map(one => one.outerHTML)"
    )
    assert small == []
    page.context.close()
    watch.check()
