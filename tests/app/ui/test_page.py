"""The page as a whole: header, font, API view. (conftest.py looks at console and requests, test_looks.py at widths.)"""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect

from app.ui.header import BACKLOG_SECONDS
from tests.app.conftest import Served
from tests.app.delivery.receiver import receiving
from tests.browser import new_profile, open_page
from tests.serving import create_app, make_studio, serving, settings_in, until
from tests.small_engines import BlobEngine, EchoSpeech


def test_the_header_has_a_short_light_for_each_model(page: Page) -> None:
    for light in ("Images", "Speech"):
        expect(page.locator(".light", has_text=light)).to_have_text(f"{light}ready")


def test_a_loading_model_is_shown_until_it_is_ready(browser: Browser, tmp_path: Path) -> None:
    image = BlobEngine(load_gate=threading.Event())
    studio = make_studio(settings_in(tmp_path), image, EchoSpeech())
    with serving(create_app(studio)) as url:
        page, watch = open_page(new_profile(browser), url)
        light = page.locator(".light", has_text="Images")
        expect(light).to_contain_text("download 25%")
        image.load_gate.set()
        expect(light).to_contain_text("ready")
        page.context.close()
    watch.check()


def test_what_could_not_be_delivered_is_told(browser: Browser, tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.answers = [(410, {})]
        secret = "whsec_" + 32 * "A"
        settings = settings_in(tmp_path, webhook_secret=secret, webhook_hosts=receiver.origin)
        studio = make_studio(settings, BlobEngine(), EchoSpeech())
        with serving(create_app(studio)) as url:
            profile = new_profile(browser)
            profile.clock.install()
            page, watch = open_page(profile, url)
            body = {"kind": "image", "request": {"prompt": "x"}, "webhook": receiver.origin}
            httpx.post(f"{url}/jobs", json=body).raise_for_status()
            until(lambda: studio.queue.outbox.backlogs()[0].dead)
            expect(page.locator(".light", has_text="Webhook")).to_have_count(0)
            page.clock.fast_forward(int(1000 * (BACKLOG_SECONDS + 1)))
            expect(page.locator(".light", has_text="Webhook")).to_contain_text("1 given up")
            page.locator("#status-open").click()
            expect(page.locator("#status-list")).to_contain_text("the address answered 410")
            page.context.set_extra_http_headers({"Accept-Language": "de"})
            page.reload()
            page.locator("#status-open").click()
            expect(page.locator("#status-list")).to_contain_text("die Adresse hat mit 410 Gone geantwortet")
            page.context.close()
    watch.check()


def test_the_pages_own_font_is_loaded(page: Page) -> None:
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px Inter'))")
    assert page.evaluate("[...document.fonts].some(font => font.family.includes('Inter') && font.status === 'loaded')")


def test_only_the_named_endpoints_are_in_the_api_view(browser: Browser, served: Served) -> None:
    # Its console is not looked at: Gradio's view also asks for two pages that are switched off here.
    page = new_profile(browser).new_page()
    page.goto(f"{served.url}/?view=api")
    docs = page.locator(".api-docs")
    expect(docs).to_contain_text("6 API endpoints")
    for name in ("/avatar", "/hero", "/transcribe", "/presets", "/cancel", "/job"):
        expect(docs).to_contain_text(name)
    page.context.close()
