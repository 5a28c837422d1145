"""What a browser tab keeps over a reload and a lost connection: what was typed, its place. (Jobs: test_walk.py.)"""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.conftest import Served
from tests.app.ui.steps import last_job, open_tab, start, unfold, until_done
from tests.browser import PHONE, new_profile, open_page
from tests.serving import until


def test_the_form_the_tab_and_the_place_survive_a_reload(browser: Browser, served: Served) -> None:
    page, watch = open_page(new_profile(browser, size=PHONE), f"{served.url}/?tab=hero")
    page.locator("#hero-prompt textarea").fill("Mountains")
    page.get_by_text("City at night", exact=True).click()
    unfold(page, "hero")
    page.locator("#hero-negative textarea").fill("boats")
    page.locator("#hero-seed input").fill("77")
    page.locator("#hero-width input").fill("512")
    page.locator("#hero-width input").focus()
    place = page.evaluate("scrollY")
    assert place > 100
    page.reload()
    expect(page.locator("#hero-width input")).to_be_focused()
    expect(page.locator("#hero-prompt textarea")).to_have_value("Mountains")
    expect(page.locator("#hero-negative textarea")).to_have_value("boats")
    expect(page.locator("#hero-seed input")).to_have_value("77")
    expect(page.locator("#hero-width input")).to_have_value("512")
    expect(page.locator("#hero-preset label.selected")).to_have_text("City at night")
    expect(page.locator("#hero-seed-mode label.selected")).to_have_text("Keep")
    page.wait_for_function("place => Math.abs(scrollY - place) < 40", arg=place)
    # The tab is in the address, and the back button leads to the one before.
    open_tab(page, "Transcribe")
    page.wait_for_url("**/?tab=transcribe")
    page.reload()
    expect(page.locator("#transcribe-go")).to_be_visible()
    page.go_back()
    expect(page.locator("#hero-prompt textarea")).to_have_value("Mountains")
    assert urlsplit(page.url).query == "tab=hero"
    page.context.close()
    watch.check()


def test_a_lost_connection_is_said_and_comes_back_by_itself(browser: Browser, served: Served) -> None:
    # Its console is not looked at: the browser tells there of every request that fails.
    page, _ = open_page(new_profile(browser), served.url)
    page.locator("#avatar-prompt textarea").fill("A knight")
    page.evaluate("window.mark = 1")
    # What the page asks for as it opens has to have come: an answer that is lost has it loaded again.
    page.wait_for_timeout(2000)
    page.context.set_offline(True)
    expect(page.locator(".connection")).to_be_visible()
    expect(page.locator(".connection")).to_contain_text("Connection lost")
    expect(page.locator(".light .state").first).to_be_hidden()
    page.context.set_offline(False)
    expect(page.locator(".connection")).to_be_hidden()
    # Nothing was lost, so nothing was loaded again.
    assert page.evaluate("window.mark") == 1
    expect(page.locator("#avatar-prompt textarea")).to_have_value("A knight")
    page.context.close()


@pytest.mark.parametrize("finished", [True, False])
def test_who_presses_right_after_a_reload_sees_that_job(page: Page, served: Served, finished: bool) -> None:
    """And not the one before, which the page finds again at the same time."""
    slow_line(page)
    try:
        served.image.gate.clear()
        start(page, "avatar", "An older knight")
        expect(page.locator("#avatar-status .progress.running")).to_be_visible()
        [older] = served.running()
        if finished:
            served.image.gate.set()
            until_done(page, "avatar")
            served.image.gate.clear()
        page.reload()
        page.locator("#avatar-go:enabled").wait_for()
        start(page, "avatar", "A newer knight")
        page.wait_for_function(
            "older => (sessionStorage['carrot-jobs-avatar'] ?? older) !== JSON.stringify(older)", arg=older
        )
        expect(page.locator("#avatar-status .progress")).not_to_have_class("progress done")
        # Cancel is about the newer one.
        page.locator("#avatar-cancel").click()
        expect(page.locator("#avatar-status")).to_contain_text("Cancelled")
    finally:
        served.image.gate.set()
    until(lambda: not served.running())
    assert served.recent("avatar", limit=1)[0].id == older
    page.wait_for_timeout(500)
    expect(page.locator("#avatar-status")).to_contain_text("Cancelled")
    assert last_job(page, "avatar") != older


def slow_line(page: Page) -> None:
    """As through a tunnel to the other side of the world."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    speeds = {"offline": False, "latency": 200, "downloadThroughput": -1, "uploadThroughput": -1}
    devtools.send("Network.emulateNetworkConditions", speeds)


def test_somebody_else_in_the_same_browser_tab_finds_nothing(page: Page) -> None:
    page.locator("#avatar-prompt textarea").fill("My secret knight")
    page.wait_for_function("sessionStorage['carrot-form-avatar'].includes('secret')")
    page.evaluate("sessionStorage['carrot-account'] = '\"somebody else\"'")
    page.reload()
    page.wait_for_function("!JSON.stringify({...sessionStorage}).includes('secret')")
    expect(page.locator("#avatar-prompt textarea")).to_have_value("")
