"""What a transcription is told on the page: a vocabulary, speakers, and the account's corrections."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.app.conftest import Served
from tests.app.ui.steps import open_tab, transcribe
from tests.engines.speech.media import wav_bytes


def add(page: Page, heard: str, written: str) -> None:
    page.get_by_label("Heard", exact=True).fill(heard)
    page.get_by_label("Write", exact=True).fill(written)
    page.locator("carrot-corrections").get_by_role("button", name="Add", exact=True).click()


def test_a_vocabulary_and_speakers_are_asked_for_on_the_page(page: Page, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "said.wav"
    file.write_bytes(wav_bytes(data=b"\x10\x10" * 48_000))
    open_tab(page, "Transcribe")
    page.get_by_role("button", name="Vocabulary and speakers").click()
    page.locator("#transcribe-vocabulary textarea").fill("word1\nword2\n\nword5\nxyz")
    page.get_by_label("Tell speakers apart").check()
    transcribe(page, file)
    page.locator("carrot-transcript .w").first.wait_for()
    assert page.locator("carrot-transcript .t-paragraph p").all_inner_texts() == ["word1 word2", "word5"]
    assert page.locator("carrot-transcript .t-speaker").all_inner_texts() == ["Speaker A", "Speaker B"]
    expect(page.locator("#transcribe-status")).to_contain_text("This model does not know xyz.")


def test_what_is_heard_wrong_is_written_right_and_can_be_seen(page: Page, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "said.wav"
    file.write_bytes(wav_bytes(data=b"\x10\x10" * 32_000))
    open_tab(page, "Transcribe")
    page.locator("#transcribe-corrections").get_by_role("button", name="Corrections").click()
    expect(page.get_by_text("The list is empty.")).to_be_visible()
    add(page, "word2", "#Wrong")
    add(page, "Word2 ", '<b>"Carrot"')
    rows = page.locator("carrot-corrections tbody tr")
    # The second is about the same words, and takes the place of the first.
    expect(rows).to_have_count(1)
    expect(rows.locator("td").nth(1)).to_have_text('<b>"Carrot"')
    expect(rows.locator(".c-count")).to_have_text("–")
    transcribe(page, file)
    page.locator("carrot-transcript .w").first.wait_for()
    words = page.locator("carrot-transcript .t-paragraph .w")
    assert words.all_inner_texts() == ["word1", '<b>"Carrot"', "word3", "word4"]
    expect(words.nth(1)).to_have_attribute("title", "0:00 · heard as “word2”")
    styles = words.evaluate_all("all => all.map(it => getComputedStyle(it).textDecorationStyle)")
    assert [style == "solid" for style in styles].count(True) >= 1
    assert styles[1] == "solid"
    expect(page.locator(".t-legend")).to_contain_text("Corrected")
    expect(rows.locator(".c-count")).to_have_text("1 ×")
    stored = served.http.get("/corrections").json()["corrections"]
    assert stored == [{"heard": "Word2", "written": '<b>"Carrot"', "match_case": False}]
    rows.get_by_role("button", name="Do not correct this any more").click()
    expect(rows).to_have_count(0)
    assert served.http.get("/corrections").json() == {"corrections": []}
