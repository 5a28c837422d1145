"""The Avatar tab in a real browser: the pictures that come are looked at."""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.jobs.model import JobState
from app.jobs.queue import Submission
from app.work.image import PlainRequest
from tests.app.conftest import Served
from tests.app.ui.picky import Picky
from tests.app.ui.steps import (
    choose,
    corner,
    generate,
    last_job,
    middle,
    pictures,
    problem,
    seed_of,
    start,
    unfold,
    until_done,
    values,
)
from tests.browser import new_profile, open_page
from tests.serving import create_app, make_studio, serving, settings_in
from tests.small_engines import BlobEngine, EchoSpeech, disc_colour

BLUE, RED, GREEN = (0, 0, 255), (255, 0, 0), (0, 128, 0)


def test_a_prompt_makes_the_picture_that_it_asks_for(page: Page) -> None:
    generate(page, "avatar", "A blue knight")
    [picture] = pictures(page, "avatar")
    assert picture.format == "PNG"
    assert corner(picture) == BLUE
    assert middle(picture) == disc_colour(seed_of(page, "avatar"))
    expect(page.locator("#avatar-status")).to_contain_text("demo model")


def test_the_served_file_is_the_stored_one_byte_for_byte(page: Page, served: Served) -> None:
    generate(page, "avatar", "A red knight")
    source = page.locator("#avatar-gallery button.thumbnail-item img").first.get_attribute("src")
    assert source
    job = served.recent("avatar", limit=1)[0]
    assert page.request.get(source).body() == served.studio.files.path(job.files[0].sha256).read_bytes()


def test_several_pictures_each_with_download_and_recipe(page: Page) -> None:
    generate(page, "avatar", "A green knight", count=3)
    found = pictures(page, "avatar")
    first = seed_of(page, "avatar")
    assert [middle(picture) for picture in found] == [disc_colour(first + number) for number in range(3)]
    page.locator("#avatar-gallery button.thumbnail-item").nth(1).click()
    expect(page.locator("#avatar-recipe-box")).to_contain_text("Recipe of picture 2")
    page.keyboard.press("Escape")
    with page.expect_download() as one:
        page.locator("#avatar-download").click()
    with Image.open(one.value.path()) as picture:
        recipe = json.loads(picture.text["recipe"])  # type: ignore[attr-defined]
    assert recipe["seed"] == first + 1
    page.locator("#avatar-menu").click()
    with page.expect_download() as everything:
        page.locator("#avatar-zip").click()
    with ZipFile(everything.value.path()) as archive:
        inside = [Image.open(BytesIO(archive.read(name))) for name in archive.namelist()]
    assert [middle(picture) for picture in inside] == [middle(picture) for picture in found]


def test_cancel_stops_the_job_and_the_next_one_works(page: Page, served: Served) -> None:
    served.image.gate.clear()
    start(page, "avatar", "A blue knight")
    expect(page.locator("#avatar-status")).to_contain_text("step 7 of 8")
    expect(page.locator("#avatar-go")).to_be_disabled()
    page.locator("#avatar-cancel").click()
    expect(page.locator("#avatar-status")).to_contain_text("Cancelled.")
    expect(page.locator("#avatar-go")).to_be_enabled()
    expect(page.locator("#avatar-cancel")).to_be_disabled()
    served.image.gate.set()
    generate(page, "avatar", "A red knight")
    assert corner(pictures(page, "avatar")[0]) == RED
    assert served.image.most_at_once == 1


def test_a_waiting_job_says_how_many_are_ahead_and_can_be_cancelled(page: Page, served: Served) -> None:
    served.image.gate.clear()
    ahead = served.studio.queue.submit(Submission("image", PlainRequest(prompt="x"), "somebody else"))
    start(page, "avatar", "A blue knight")
    expect(page.locator("#avatar-status")).to_contain_text("Waiting: 1 job ahead")
    page.locator("#avatar-cancel").click()
    expect(page.locator("#avatar-status")).to_contain_text("Cancelled.")
    assert not served.job(ahead.id, "somebody else").final


def test_an_empty_prompt_is_said_beside_it(page: Page) -> None:
    page.locator("#avatar-go").click()
    assert problem(page, "avatar-prompt") == "Prompt is empty: say in a few words what the picture should show."
    expect(page.locator("#avatar-go")).to_be_enabled()


def test_a_wrong_number_is_said_beside_it_until_it_is_mended(page: Page, served: Served) -> None:
    """In the field's own words, in the box that was folded; markup in it is only text."""
    unfold(page, "avatar")
    page.locator("#avatar-seed input").fill("<img src=x onerror=alert(1)>")
    expect(page.locator("#avatar-seed-mode label.selected")).to_have_text("Keep")
    page.locator("#avatar-advanced > button").click()
    expect(page.locator("#avatar-seed input")).to_be_hidden()
    start(page, "avatar", "A knight")
    field = page.locator("#avatar-seed input")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("^Seed is '<img src=x onerror=alert.1.>': send a whole"))
    assert page.get_by_test_id("toast-text").count() == 0
    before = len(served.recent("avatar"))
    field.fill("7")
    expect(page.locator(".field-problem")).to_have_count(0)
    expect(field).not_to_have_attribute("aria-invalid", "true")
    page.locator("#avatar-go").click()
    until_done(page, "avatar")
    assert len(served.recent("avatar")) == before + 1


def test_the_same_mistake_twice_is_said_twice(page: Page) -> None:
    unfold(page, "avatar")
    page.locator("#avatar-steps input").fill("9999")
    start(page, "avatar", "A knight")
    expect(page.locator("#avatar-steps input")).to_be_focused()
    assert problem(page, "avatar-steps") == "Steps is 9999: send a whole number from 1 to 150."
    page.locator("#avatar-prompt textarea").fill("A queen")
    page.locator("#avatar-go").click()
    expect(page.locator("#avatar-steps input")).to_be_focused()


def test_random_draws_a_new_seed_each_time_and_keep_does_not(page: Page) -> None:
    generate(page, "avatar", "A knight")
    first = seed_of(page, "avatar")
    page.locator("#avatar-seed-mode").get_by_text("Keep").click()
    _again(page)
    assert seed_of(page, "avatar") == first
    assert middle(pictures(page, "avatar")[0]) == disc_colour(first)
    page.locator("#avatar-seed-mode").get_by_text("Random").click()
    expect(page.locator("#avatar-seed input")).to_have_value("")
    _again(page)
    assert seed_of(page, "avatar") != first


def _again(page: Page) -> None:
    before = last_job(page, "avatar")
    page.locator("#avatar-go").click()
    until_done(page, "avatar", before)


PRESS_WHEN_ENABLED = """() => {
    const button = document.querySelector('#avatar-go');
    const press = () => { if (!button.disabled) { watch.disconnect(); button.click(); } };
    const watch = new MutationObserver(press);
    watch.observe(button, { attributes: true });
}"""


def test_generate_works_from_the_moment_it_can_be_pressed(page: Page, served: Served) -> None:
    served.image.gate.clear()
    start(page, "avatar", "A blue knight")
    expect(page.locator("#avatar-go")).to_be_disabled()
    page.evaluate(PRESS_WHEN_ENABLED)
    served.image.gate.set()
    until_done(page, "avatar")
    until_done(page, "avatar", last_job(page, "avatar"))


def test_a_failed_job_is_told_and_tried_again_with_the_same_settings(
    page: Page, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BlobEngine, "_image", lambda *_, **__: 1 / 0)
        start(page, "avatar", "A blue knight", count=2)
        said = page.locator("#avatar-status .problem")
        expect(said).to_be_visible()
        expect(said).not_to_contain_text("division")
        expect(page.locator("#avatar-cancel")).to_be_disabled()
        page.reload()
        expect(said).to_be_visible()
    assert page.get_by_test_id("toast-text").count() == 0
    before = last_job(page, "avatar")
    assert before is not None
    failed = served.job(before)
    page.locator("#avatar-prompt textarea").fill("A red queen")
    page.get_by_role("button", name="Try again").click()
    until_done(page, "avatar", before)
    assert [corner(picture) for picture in pictures(page, "avatar")] == [BLUE, BLUE]
    assert served.recent("avatar", limit=1)[0].request == failed.request
    generate(page, "avatar", "A red knight")
    assert corner(pictures(page, "avatar")[0]) == RED


def test_settings_of_a_result_fill_the_form_again(page: Page) -> None:
    """As they were typed: the preset's words and numbers do not get into the boxes."""
    typed = {"negative": "hat", "width": "512", "height": "640", "steps": "5", "guidance": "6.5"}
    page.get_by_text("Watercolour", exact=True).click()
    unfold(page, "avatar")
    for box, value in typed.items():
        page.locator(f"#avatar-{box}").locator("input, textarea").fill(value)
    choose(page, "avatar-sampler", "euler_a")
    generate(page, "avatar", "A (red:1.2) queen,", count=2)
    page.locator("#avatar-gallery button.thumbnail-item").nth(1).click()
    expect(page.locator("#avatar-recipe-box")).to_contain_text("Recipe of picture 2")
    page.keyboard.press("Escape")
    second = seed_of(page, "avatar") + 1
    page.reload()
    page.locator("#avatar-recent button.thumbnail-item").first.click()
    page.locator("#avatar-gallery button.thumbnail-item").nth(1).click()
    expect(page.locator("#avatar-recipe-box")).to_contain_text("Recipe of picture 2")
    page.keyboard.press("Escape")
    page.locator("#avatar-again").click()
    expect(page.locator("#avatar-prompt textarea")).to_have_value("A (red:1.2) queen,")
    unfold(page, "avatar")
    assert values(page, *(f"avatar-{box}" for box in typed)) == list(typed.values())
    assert values(page, "avatar-sampler") == ["euler_a"]
    expect(page.locator("#avatar-preset label.selected")).to_have_text("Watercolour")
    expect(page.locator("#avatar-seed-mode label.selected")).to_have_text("Keep")
    assert seed_of(page, "avatar") == second
    _again(page)
    [picture] = pictures(page, "avatar")
    assert middle(picture) == disc_colour(second)
    assert (picture.width * 4, picture.height * 4) == (512, 640)


def test_boxes_that_were_left_empty_are_empty_again(page: Page) -> None:
    boxes = ("negative", "width", "height", "steps", "guidance")
    page.locator("#avatar-preset").get_by_text("No preset", exact=True).click()
    generate(page, "avatar", "A green queen")
    page.get_by_text("Watercolour", exact=True).click()
    unfold(page, "avatar")
    for box, value in zip(boxes, ("hat", "512", "640", "5", "6.5"), strict=True):
        page.locator(f"#avatar-{box}").locator("input, textarea").fill(value)
    choose(page, "avatar-sampler", "euler_a")
    page.locator("#avatar-again").click()
    expect(page.locator("#avatar-preset label.selected")).to_have_text("No preset")
    assert values(page, *(f"avatar-{box}" for box in boxes)) == [""] * 5
    assert values(page, "avatar-sampler") == ["Model default"]


def test_a_picture_is_seen_while_it_is_drawn(page: Page, served: Served) -> None:
    served.image.gate.clear()
    start(page, "avatar", "A blue knight")
    expect(page.locator("#avatar-status")).to_contain_text("step 7 of 8")
    preview = page.locator("#avatar-status img.preview")
    expect(preview).to_be_visible()
    with Image.open(BytesIO(base64.b64decode((preview.get_attribute("src") or "").partition(",")[2]))) as seen:
        assert max(map(abs, (a - b for a, b in zip(corner(seen), BLUE, strict=True)))) < 12
    preview.evaluate("img => img.decode()")
    served.image.gate.set()
    page.locator("#avatar-status .done").wait_for()
    expect(preview).to_have_count(0)


def test_what_was_asked_for_and_not_used_is_said(browser: Browser, tmp_path: Path) -> None:
    studio = make_studio(settings_in(tmp_path), Picky(), EchoSpeech())
    with serving(create_app(studio)) as url:
        page, watch = open_page(new_profile(browser), url)
        generate(page, "avatar", "A <lora:hat:1> knight")
        expect(page.locator("#avatar-status .warning")).to_have_text("<lora:hat:1> is not known here and was not used.")
        page.context.close()
    watch.check()


def test_a_closed_page_does_not_lose_the_result(page: Page, served: Served) -> None:
    served.image.gate.clear()
    start(page, "avatar", "A green knight")
    expect(page.locator("#avatar-status")).to_contain_text("step 7 of 8")
    context, url = page.context, page.url
    page.close()
    served.image.gate.set()
    page = context.new_page()
    page.goto(url)
    page.locator("#avatar-recent button.thumbnail-item").first.click()
    page.locator("#avatar-status .done").wait_for()
    assert corner(pictures(page, "avatar")[0]) == GREEN
    assert served.recent("avatar", limit=1)[0].state is JobState.SUCCEEDED


def test_a_photo_is_where_the_picture_starts(page: Page, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (300, 300), (250, 120, 10)).save(photo)
    unfold(page, "avatar")
    page.locator("#avatar-photo input[type=file]").first.set_input_files(photo)
    expect(page.locator("#avatar-strength")).to_be_visible()
    generate(page, "avatar", "A knight")
    assert corner(pictures(page, "avatar")[0]) == (250, 120, 10)
    page.reload()
    expect(page.locator("#avatar-photo img")).to_be_visible()
    generate(page, "avatar", "A red knight")
    assert corner(pictures(page, "avatar")[0]) == (250, 120, 10)


def test_a_text_as_photo_is_named_at_once_and_not_drawn(page: Page) -> None:
    unfold(page, "avatar")
    text = {"name": "notes.png", "mimeType": "image/png", "buffer": b"this is no picture"}
    page.locator("#avatar-photo input[type=file]").first.set_input_files(text)  # type: ignore[arg-type]
    said = page.locator("#avatar-photo > .field-problem")
    expect(said).to_contain_text("notes.png cannot be used: photo (18 bytes) is not a PNG, JPEG or WebP picture")
    expect(page.locator("#avatar-photo img")).to_have_count(0)
    generate(page, "avatar", "A red knight")
    assert corner(pictures(page, "avatar")[0]) == RED
    expect(said).to_have_count(0)
