"""A browser, and the page of a studio over small engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.app.conftest import Served
from tests.browser import chromium, new_profile, open_page


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """One for the package, not for the session: while it lives, no other test can run an event loop."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with chromium(playwright) as running:
        yield running


@pytest.fixture(scope="module")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One profile a module: the page's scripts are compiled once. `page` empties its storage."""
    context = new_profile(browser)
    yield context
    context.close()


@pytest.fixture
def page(profile: BrowserContext, served: Served) -> Iterator[Page]:
    """The page as a newcomer sees it. After the test: no error in its console, no request to another machine."""
    served.image.gate.set()
    served.speech.gate.set()
    page, watch = open_page(profile, served.url)
    yield page
    profile.pages[0].evaluate("localStorage.clear()")
    for opened in profile.pages:
        opened.close()
    watch.check()
