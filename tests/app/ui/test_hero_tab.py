"""The Hero tab in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from app.jobs.queue import Submission
from app.ui.hero import NOTHING_SAID
from app.work.image import PictureWork, PlainRequest
from app.work.presets import AvatarRequest
from tests.app.conftest import Served
from tests.app.ui.steps import corner, generate, last_job, open_tab, pictures, problem, until_done
from tests.serving import until

YELLOW = (255, 255, 0)


def test_a_prompt_makes_a_wide_picture_in_the_look_that_was_picked(page: Page, served: Served) -> None:
    open_tab(page, "Hero")
    page.get_by_text("City at night", exact=True).click()
    generate(page, "hero", "A yellow town")
    [picture] = pictures(page, "hero")
    assert corner(picture) == YELLOW
    assert picture.width > picture.height
    [job] = served.recent("hero", limit=1)
    assert isinstance(job.work, PictureWork)
    assert job.work.preset == "city-night"


def test_a_posts_title_and_an_aspect_make_the_picture(page: Page, served: Served) -> None:
    open_tab(page, "Hero")
    page.get_by_text("From a post", exact=True).click()
    page.locator("#hero-title textarea").fill("My yellow bicycle")
    page.locator("#hero-summary textarea").fill("A summer on two wheels")
    page.locator("#hero-aspect").get_by_text("1:1", exact=True).click()
    before = last_job(page, "hero")
    page.locator("#hero-go").click()
    until_done(page, "hero", before)
    [picture] = pictures(page, "hero")
    assert picture.width == picture.height
    assert corner(picture) == YELLOW
    [job] = served.recent("hero", limit=1)
    assert isinstance(job.work, PictureWork)
    assert "My yellow bicycle, A summer on two wheels" in job.work.prompt


def test_a_posts_own_words_fill_the_form_again(page: Page) -> None:
    open_tab(page, "Hero")
    page.get_by_text("City at night", exact=True).click()
    page.get_by_text("From a post", exact=True).click()
    page.locator("#hero-title textarea").fill('My "yellow" bicycle!')
    page.locator("#hero-summary textarea").fill("A summer on two wheels: https://example.com")
    page.locator("#hero-aspect").get_by_text("1:1", exact=True).click()
    page.locator("#hero-go").click()
    until_done(page, "hero")
    page.reload()
    open_tab(page, "Hero")
    page.locator("#hero-recent button.thumbnail-item").first.click()
    page.locator("#hero-again").click()
    expect(page.locator("#hero-title textarea")).to_have_value('My "yellow" bicycle!')
    expect(page.locator("#hero-summary textarea")).to_have_value("A summer on two wheels: https://example.com")
    expect(page.locator("#hero-prompt")).to_be_hidden()
    expect(page.locator("#hero-aspect label.selected")).to_have_text("1:1")
    expect(page.locator("#hero-preset label.selected")).to_have_text("City at night")


def test_recent_pictures_of_other_kinds_do_not_push_a_hero_out(page: Page, served: Served) -> None:
    open_tab(page, "Hero")
    generate(page, "hero", "A yellow town")
    heroes = len(served.recent("hero"))
    for number in range(24):
        request = AvatarRequest(prompt=f"A red knight {number}", width=64, height=64)
        served.studio.queue.submit(Submission("avatar", request, "local"))
    served.studio.queue.submit(Submission("image", PlainRequest(prompt="A red lake", width=64, height=64), "local"))
    until(lambda: len(served.recent("avatar")) >= 24 and served.recent("image"))
    page.reload()
    open_tab(page, "Hero")
    tiles = page.locator("#hero-recent button.thumbnail-item")
    expect(tiles).to_have_count(heroes)
    tiles.first.click()
    page.locator("#hero-status .done").wait_for()
    assert corner(pictures(page, "hero")[0]) == YELLOW


def test_a_post_that_says_nothing_is_said_beside_its_title(page: Page) -> None:
    open_tab(page, "Hero")
    page.get_by_text("From a post", exact=True).click()
    expect(page.locator("#hero-title")).to_be_visible()
    page.locator("#hero-go").click()
    expect(page.locator("#hero-title textarea")).to_be_focused()
    assert problem(page, "hero-title") == NOTHING_SAID
