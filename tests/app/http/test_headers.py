"""What browsers are told: no guessed types, no frames, no scripts but ours, no other host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tests.app.conftest import Served, serve
from tests.browser import chromium, new_profile, open_page
from tests.serving import serving


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/health", "/nope", "/jobs/x", "/theme.css", "/gradio_api/info"]
)
def test_every_answer_forbids_guessing_and_framing(served: Served, path: str) -> None:
    headers = served.http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_refusals_at_the_door_have_them_too(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=["a-token-of-enough-characters"]):
        for answer in (served.http.get("/"), served.http.get("/", headers={"Host": "evil.example"})):
            assert answer.status_code in (400, 401)
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_name_no_other_host_and_say_which_scripts_are_theirs(served: Served, path: str) -> None:
    answer = served.http.get(path)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "'sha256-" in policy["script-src"]
    for sources in policy.values():
        assert "http" not in sources
        assert "*" not in sources
    loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?:)?//', answer.text)
    assert loaded == []


def test_the_documentation_is_whole_without_the_internet(served: Served) -> None:
    with sync_playwright() as playwright, chromium(playwright) as browser:
        page = new_profile(browser).new_page()
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"{served.url}/docs")
        page.get_by_text("/v1/audio/transcriptions").wait_for()
        assert all(url.startswith(served.url) for url in asked)
        assert errors == []


@contextmanager
def framing_site(url: str) -> Iterator[str]:
    """Another site, whose page shows `url` in a frame and posts to it."""

    async def page(_: Request) -> HTMLResponse:
        return HTMLResponse(f'<iframe src="{url}/"></iframe><p>here</p>')

    with serving(Starlette(routes=[Route("/", page), Route("/health/live", page)])) as site:
        yield site


def test_other_sites_neither_frame_the_page_nor_make_it_work(served: Served) -> None:
    with sync_playwright() as playwright, chromium(playwright) as browser, framing_site(served.url) as site:
        page = new_profile(browser).new_page()
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        page.goto(site)
        page.wait_for_function("performance.getEntriesByType('resource').length > 0")
        page.wait_for_timeout(500)
        assert any("frame-ancestors" in error or "X-Frame-Options" in error for error in errors)
        assert "Carrot" not in "".join(frame.content() for frame in page.frames[1:])
        before = len(served.recent("avatar"))
        # Plain forms and plain fetches need no permission to be sent.
        page.evaluate(
            "url => fetch(url + '/generate', {method: 'POST', mode: 'no-cors', body: '{\"prompt\": \"x\"}'})",
            served.url,
        )
        assert len(served.recent("avatar")) == before


def test_a_script_that_words_bring_into_the_page_does_not_run(served: Served) -> None:
    with sync_playwright() as playwright, chromium(playwright) as browser:
        page, _ = open_page(new_profile(browser), served.url)
        page.evaluate(
            """() => {
              const add = html => document.body.insertAdjacentHTML("beforeend", html);
              add('<img src="/nowhere" onerror="window.bad = 1">');
              add('<iframe srcdoc="<script>parent.bad = 2</script>"></iframe>');
              const script = document.createElement("script");
              script.textContent = "window.bad = 3";
              document.body.append(script);
            }"""
        )
        page.wait_for_timeout(500)
        assert page.evaluate("window.bad") is None
