"""What a browser gets of the page: how much, for how long it may keep it, and how it may install it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from app.ui.assets import MENDED, Assets
from tests.app.conftest import Served, serve
from tests.browser import WHOLE_CHROMIUM, chromium, new_profile, open_page
from tests.small_engines import BlobEngine

MOST_BYTES = 450_000
MOST_REQUESTS = 80
TOKEN = "a-token-of-enough-characters"


@dataclass
class Traffic:
    """What a page's network carried, by the browser's own count: headers and compressed bodies."""

    paths: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def of(self, name: str) -> list[int]:
        return [self.sizes.get(number, 0) for number, path in self.paths.items() if name in path]


def traffic_of(profile: BrowserContext, url: str) -> tuple[Page, Traffic]:
    page = profile.new_page()
    seen = Traffic()
    devtools = profile.new_cdp_session(page)
    devtools.on("Network.requestWillBeSent", lambda told: _asked(seen, told, url))
    devtools.on("Network.loadingFinished", lambda told: _loaded(seen, told))
    devtools.send("Network.enable")
    page.goto(url)
    page.locator("#avatar-go").wait_for()
    page.wait_for_load_state("load")
    return page, seen


def _asked(seen: Traffic, told: dict[str, Any], url: str) -> None:
    if told["request"]["url"].startswith("http"):
        seen.paths[told["requestId"]] = told["request"]["url"].removeprefix(url)


def _loaded(seen: Traffic, told: dict[str, Any]) -> None:
    seen.sizes[told["requestId"]] = int(told["encodedDataLength"])


def test_the_first_visit_is_light_and_the_second_lighter(browser: Browser, served: Served) -> None:
    profile = new_profile(browser)
    page, first = traffic_of(profile, served.url)
    assert sum(first.sizes.values()) < MOST_BYTES, sorted(zip(first.sizes.values(), first.paths.values(), strict=False))
    assert len(first.paths) < MOST_REQUESTS
    # What none of our tabs shows: films in pieces, wave forms, plots, formulas, three dimensions.
    assert max(first.of("/hls-")) < 1000
    for unused in ("Plot", "katex", "wavesurfer", "Canvas3D", "mermaid", "iframeResizer"):
        assert first.of(unused) == []
    # One sheet; everything that the head did not name would wait for a script to ask for it.
    assert [path for path in first.paths.values() if ".css" in path and "theme.css" not in path] == [
        next(path for path in first.paths.values() if path.endswith("/page.css"))
    ]
    named = page.evaluate("[...document.querySelectorAll('head link[rel=modulepreload]')].map(link => link.href)")
    late = {path for path in first.paths.values() if path.endswith(".js")} - {
        address.removeprefix(served.url) for address in named
    }
    assert {path.rpartition("/")[2] for path in late} <= {"studio.js"}
    page.close()

    again, second = traffic_of(profile, served.url)
    assert sum(second.sizes.values()) < 80_000
    assert not any("/assets/" in path and second.sizes.get(number) for number, path in second.paths.items())
    again.context.close()


def test_files_may_be_kept_for_good_and_are_compressed_as_the_client_can(served: Served) -> None:
    page = served.http.get("/").text
    [entry] = re.findall(r'<script type="module" crossorigin src="\./(assets/\w+/[\w.-]+)">', page)
    br, plain = (served.http.get(entry, headers={"Accept-Encoding": how}) for how in ("br", "identity"))
    assert br.headers["content-encoding"] == "br"
    assert "content-encoding" not in plain.headers
    assert "Accept-Encoding" in br.headers["vary"]
    assert "Accept-Encoding" in plain.headers["vary"]
    assert br.text == plain.text
    assert "immutable" in br.headers["cache-control"]
    assert br.headers["content-type"].startswith("text/javascript")
    folder = entry.rpartition("/")[0]
    for missing in ("nothing.js", "..%2findex.html", "%2e%2e/index.html", ".", "a/b"):
        assert served.http.get(f"{folder}/{missing}").status_code == 404


def test_the_page_names_no_other_host(served: Served) -> None:
    # Names that are no addresses: XML's, and what Gradio's own configuration tells of itself.
    head = served.http.get("/").text.partition("window.gradio_config")[0]
    assert re.findall(r"(?:https?:)?//[\w.-]+", head) == []


def test_another_build_of_gradio_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<script type=module src=x.js></script>")
    with pytest.raises(LookupError, match=r"Gradio 6\.31"):
        Assets(tmp_path, ["html"], {})


def test_what_is_mended_is_in_gradios_scripts() -> None:
    scripts = [path.read_text() for path in (Path(gr.__file__).parent / "templates/frontend/assets").glob("*.js")]
    assert [words for words in MENDED if not any(words in script for script in scripts)] == []


def test_a_page_at_rest_draws_nothing_also_while_it_waits_for_a_picture(browser: Browser, tmp_path: Path) -> None:
    """Frames that a script asked for: each costs a phone some battery, and a studio on the same machine its cores."""
    asked = "const ask = requestAnimationFrame; window.framesAsked = 0;"
    count = "window.requestAnimationFrame = (f) => { window.framesAsked++; return ask(f); };"
    for served in serve(tmp_path, image=BlobEngine(step_seconds=0.1)):
        profile = new_profile(browser)
        profile.add_init_script(asked + count)
        page, _ = open_page(profile, served.url)

        def least_frames(page: Page = page) -> int:
            """In a second, once what moved has come to rest."""
            seen: list[int] = []
            for _ in range(6):
                page.evaluate("window.framesAsked = 0")
                page.wait_for_timeout(1000)
                seen.append(page.evaluate("window.framesAsked"))
            return min(seen)

        assert least_frames() < 5
        served.image.gate.clear()
        page.locator("#avatar-prompt textarea").fill("a red fox")
        page.locator("#avatar-go").click()
        expect(page.locator("#avatar-status")).to_contain_text("step 7 of 8")
        assert least_frames() < 5
        served.image.gate.set()
        profile.close()


def test_the_page_can_be_installed(playwright: Playwright, served: Served) -> None:
    with chromium(playwright, path=WHOLE_CHROMIUM) as browser:
        page, _ = open_page(new_profile(browser), served.url)
        devtools = page.context.new_cdp_session(page)
        errors = [told["errorId"] for told in devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]]
        # A test's profile is one that keeps nothing; all else that Chromium wants is there.
        assert errors == ["in-incognito"]
        title = page.title()
    manifest = served.http.get("/manifest.json").json()
    assert manifest["name"] == title == "Carrot Studio"
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
    for icon in manifest["icons"]:
        drawn = Image.open(BytesIO(served.http.get(icon["src"]).content))
        assert icon["sizes"] == f"{drawn.width}x{drawn.height}"


def test_who_has_not_logged_in_gets_none_of_it(browser: Browser, tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=[TOKEN]):
        assert served.http.get("/manifest.json").status_code == 401
        profile = new_profile(browser)
        page = profile.new_page()
        page.goto(served.url)
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.locator("#avatar-go").wait_for()
        # A manifest is asked for without cookies, unless its link says otherwise.
        told = profile.new_cdp_session(page).send("Page.getAppManifest")
        assert "Carrot Studio" in told["data"]
        profile.close()
