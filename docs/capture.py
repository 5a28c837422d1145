"""Make the README's short film of the page: `python -m docs.capture [FILE]`; needs tests/requirements.txt.

Starts a studio on the built-in models with a data folder of its own, makes four avatars and a transcript as a person
would, and saves what was on the screen as an animated WebP, docs/carrot-studio.webp unless told otherwise.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops
from playwright.sync_api import Page, sync_playwright

from app.accounts import Accounts
from app.settings.fields import Settings
from app.wiring import build_studio, open_images
from docs.screenshots import SLOW, SOUND
from tests.browser import chromium, new_profile, open_page
from tests.serving import create_app, serving

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "carrot-studio.webp"
WINDOW = (1200, 800)
WIDTH = 800
"""Pixels of the film."""
MOST_BYTES = 1_000_000
FRAME_MS = 120
SHORT_MS, LONG_MS = 400, 1600
"""How long a picture stays that is only passed, and one that is to be read."""
PROMPT = "A smiling woman with long red hair and glasses"


@dataclass(slots=True)
class Film:
    """What was on the screen: pictures, and how long each stays."""

    page: Page
    frames: list[Image.Image] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)

    def take(self, stays_ms: int = FRAME_MS) -> None:
        taken = Image.open(BytesIO(self.page.screenshot(type="png"))).convert("RGB")
        small = taken.resize((WIDTH, taken.height * WIDTH // taken.width), Image.Resampling.LANCZOS)
        if self.frames and ImageChops.difference(self.frames[-1], small).getbbox() is None:
            self.durations[-1] += stays_ms
            return
        self.frames.append(small)
        self.durations.append(stays_ms)

    def until(self, selector: str) -> None:
        """Go on taking until there is such an element."""
        deadline = time.monotonic() + SLOW / 1000
        while self.page.locator(selector).count() == 0:
            assert time.monotonic() < deadline, f"there is no {selector}"
            self.take()

    def save(self, target: Path) -> None:
        """As small as it has to be."""
        for quality in (70, 55, 40, 25):
            self.frames[0].save(
                target,
                save_all=True,
                append_images=self.frames[1:],
                duration=self.durations,
                loop=0,
                quality=quality,
                method=4,
                minimize_size=True,
            )
            if target.stat().st_size < MOST_BYTES:
                return
        raise SystemExit(f"{target} is {target.stat().st_size} bytes: make the film shorter.")


def act(page: Page) -> Film:
    film = Film(page)
    film.take(SHORT_MS)
    for words in PROMPT.split():
        page.locator("#avatar-prompt textarea").press_sequentially(f"{words} ")
        film.take(FRAME_MS)
    number = page.locator("#avatar-count input[type=number]")
    number.fill("4")
    number.press("Tab")
    film.take(SHORT_MS)
    page.locator("#avatar-go").click()
    film.until("#avatar-status .done")
    page.wait_for_timeout(1000)
    film.take(LONG_MS)
    page.locator("carrot-theme button").click()
    page.locator("carrot-theme button").click()
    page.wait_for_timeout(500)
    film.take(LONG_MS)
    page.get_by_role("tab", name="Transcribe", exact=True).click()
    page.locator("#transcribe-file input[type=file]").set_input_files(SOUND)
    page.locator("#transcribe-file").get_by_text(".wav").first.wait_for()
    film.take(SHORT_MS)
    page.locator("#transcribe-go").click()
    film.until("carrot-transcript .t-paragraph .w")
    page.wait_for_timeout(800)
    film.take(2 * LONG_MS)
    return film


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        settings = Settings.model_validate({"data_dir": data, "image_model": "sketch", "speech": "vosk"})
        app = create_app(build_studio(settings, Accounts(settings.tokens), open_images(settings)))
        with serving(app) as url, sync_playwright() as playwright, chromium(playwright) as browser:
            page, _ = open_page(new_profile(browser, size=WINDOW), url)
            page.locator(".light.ready").nth(1).wait_for(timeout=SLOW)
            act(page).save(target)
    print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
