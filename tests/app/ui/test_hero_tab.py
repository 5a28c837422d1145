"""The Hero tab in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.app.conftest import Served
from tests.app.ui.steps import corner, generate, last_job, open_tab, pictures, toast, until_done

YELLOW = (255, 255, 0)


def test_a_prompt_makes_a_wide_picture_in_the_look_that_was_picked(page: Page, served: Served) -> None:
    open_tab(page, "Hero")
    page.get_by_text("City at night", exact=True).click()
    generate(page, "hero", "A yellow town")
    [picture] = pictures(page, "hero")
    assert corner(picture) == YELLOW
    assert picture.width > picture.height
    job = served.studio.jobs.recent("local", "image", 1)[0]
    assert job.request["preset"] == "city-night"


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
    request = served.studio.jobs.recent("local", "image", 1)[0].request
    assert "My yellow bicycle, A summer on two wheels" in request["prompt"]
    page.locator("#hero-again").click()
    expect(page.locator("#hero-prompt textarea")).to_have_value(
        "a scene about My yellow bicycle, A summer on two wheels"
    )
    expect(page.locator("#hero-aspect label.selected")).to_have_text("1:1")


def test_a_post_that_says_nothing_is_a_toast(page: Page) -> None:
    open_tab(page, "Hero")
    page.get_by_text("From a post", exact=True).click()
    expect(page.locator("#hero-title")).to_be_visible()
    page.locator("#hero-go").click()
    assert toast(page) == "Give a prompt, or the title or summary of a post, to make a picture of."
