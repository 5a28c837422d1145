"""The documentation as a site: whole, and without a request to another host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from app.presets import load_presets
from tests.browser import chromium, new_profile, watched
from tests.conftest import ROOT

BUILD = ("-m", "mkdocs", "build", "--strict")
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\s(?:src|data)=[\"']?(?:https?:)?//[^\s>]*"
    r"|<link\b[^>]*\shref=[\"']?(?:https?:)?//[^\s>]*"
    r"|url\([\"']?(?:https?:)?//[^)]*|@import\s[^;]*//[^;]*"
)
"""What a browser fetches by itself; a link is there to be followed."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, *BUILD, "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_nothing_of_it_is_loaded_from_another_host(site: Path) -> None:
    files = [file for file in site.rglob("*") if file.suffix in (".html", ".css")]
    assert len(files) > 10
    loaded = {(file.name, found) for file in files for found in LOADED.findall(file.read_text(encoding="utf-8"))}
    assert loaded == set()


def test_it_holds_every_preset_route_and_page(site: Path) -> None:
    pages = {file.name: file.read_text(encoding="utf-8") for file in site.glob("*.html")}
    presets = load_presets(ROOT / "presets")
    for preset in (*presets.avatar, *presets.hero):
        assert f"<code>{preset.id}</code>" in pages["presets.html"]
    for route in ("POST /generate", "GET /jobs/{job_id}/events", "PUT /corrections"):
        assert f"<code>{route}</code>" in pages["routes.html"]
    assert "small-en" in pages["models.html"]
    assert {file.stem for file in (ROOT / "docs").glob("*.md")} <= {Path(name).stem for name in pages}


def test_its_search_works_by_itself(site: Path, address: str) -> None:
    assert json.loads((site / "search" / "search_index.json").read_text())["docs"]
    with sync_playwright() as playwright, chromium(playwright) as browser:
        page = new_profile(browser).new_page()
        watch = watched(page)
        page.goto(address)
        # Typed, since it listens to keys.
        page.get_by_role("textbox", name="Search").press_sequentially("reverse tunnel")
        expect(page.locator(".md-search-result__link").first).to_contain_text("How a caller reaches the studio")
        page.locator(".md-search-result__link").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("How a caller reaches the studio")
        watch.check()
