"""The switches in the header: light or dark, and whether to be told when a job is done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.app.conftest import Served
from tests.app.ui.steps import start, until_done
from tests.browser import new_profile, open_page
from tests.serving import until

FIRST_LOOK = """
window.addEventListener("DOMContentLoaded", () => {
  window.firstLook = getComputedStyle(document.body).backgroundColor;
});
"""
NOTIFICATIONS = """
window.told = [];
window.Notification = class {
  static permission = "default";
  static async requestPermission() { return (Notification.permission = window.answer ?? "granted"); }
  constructor(title, { body }) { window.told.push([title, body]); }
};
"""
DARK, LIGHT = "rgb(20, 17, 15)", "rgb(250, 249, 247)"


def colour(page: Page) -> str:
    shown: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return shown


def test_a_person_chooses_the_theme_and_it_stays(browser: Browser, served: Served) -> None:
    profile = new_profile(browser)
    profile.add_init_script(FIRST_LOOK)
    page, watch = open_page(profile, served.url)
    assert colour(page) == LIGHT
    theme = page.locator("carrot-theme button")
    expect(theme).to_have_accessible_name("Theme: as the system. Change to light")
    theme.click()
    expect(theme).to_have_accessible_name("Theme: light. Change to dark")
    theme.click()
    expect(theme).to_have_accessible_name("Theme: dark. Change to the system's")
    assert colour(page) == DARK
    page.reload()
    page.locator("#avatar-go").wait_for()
    # From the first moment on: nobody sees a white page first.
    assert page.evaluate("window.firstLook") == colour(page) == DARK
    assert page.evaluate("document.querySelector('meta[name=theme-color]').content") == "#14110f"
    other, _ = open_page(profile, served.url)
    other.locator("carrot-theme button").click()
    # Back to the system's, in every open page.
    expect(theme).to_have_accessible_name("Theme: as the system. Change to light")
    assert colour(page) == LIGHT
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("colour => getComputedStyle(document.body).backgroundColor === colour", arg=DARK)
    profile.close()
    watch.check()


@pytest.fixture
def away(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    """A profile whose pages can be looked away from, and whose notifications are noted."""
    profile = new_profile(browser)
    profile.add_init_script(NOTIFICATIONS)
    profile.clock.install()
    yield profile
    profile.close()
    served.image.gate.set()


def look_away(page: Page, hidden: bool) -> None:
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def work_while_away(page: Page, served: Served, seconds: int) -> None:
    """Start a job, look at something else, and come to its end after this time."""
    served.image.gate.clear()
    start(page, "avatar", "a red knight")
    page.locator("#avatar-status .progress.running").wait_for()
    look_away(page, True)
    page.clock.fast_forward(1000 * seconds)
    served.image.gate.set()
    until_done(page, "avatar")
    page.clock.fast_forward(2000)
    until(lambda: "Done" in page.title())


def test_who_looks_away_is_told_that_a_long_job_is_done(away: BrowserContext, served: Served) -> None:
    page, watch = open_page(away, served.url)
    switch = page.get_by_role("switch", name="Tell me when it is done")
    expect(switch).not_to_be_checked()
    switch.click()
    expect(switch).to_be_checked()
    expect(page.locator("carrot-tell [role=status]")).to_contain_text("more than 10 seconds")
    work_while_away(page, served, 30)
    assert page.title() == "✓ Done · Carrot Studio"
    assert page.evaluate("window.told") == [["Carrot Studio", "✓ Done · Carrot Studio"]]
    look_away(page, False)
    assert page.title() == "Carrot Studio"
    watch.check()


def test_short_jobs_and_who_did_not_ask_are_told_by_the_title_alone(away: BrowserContext, served: Served) -> None:
    page, _ = open_page(away, served.url)
    work_while_away(page, served, 30)
    assert page.evaluate("window.told") == []
    page.reload()
    look_away(page, False)
    page.get_by_role("switch", name="Tell me when it is done").click()
    work_while_away(page, served, 2)
    assert page.evaluate("window.told") == []


def test_a_browser_that_refuses_is_said(away: BrowserContext, served: Served) -> None:
    page, _ = open_page(away, served.url)
    page.evaluate("window.answer = 'denied'")
    switch = page.get_by_role("switch", name="Tell me when it is done")
    switch.click()
    expect(page.locator("carrot-tell [role=status]")).to_contain_text("does not allow notifications")
    expect(switch).not_to_be_checked()
