"""Make the README's pictures of the page: `python -m docs.screenshots [FOLDER]`; needs tests/requirements.txt.

Starts a studio on the built-in models with a data folder of its own, uses each tab as a person would, and saves
avatar.png, hero.png and transcribe.png. The seeds are fixed, so that the pictures change only when the product does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from app.accounts import Accounts
from app.settings.fields import Settings
from app.wiring import build_studio, open_images
from tests.app.ui.steps import settle
from tests.browser import chromium, new_profile, open_page
from tests.serving import create_app, serving

ROOT = Path(__file__).parents[1]
SOUND = ROOT / "tests" / "data" / "speech" / "sentence.wav"
WINDOW = (1280, 1000)
SLOW = 240_000
"""Milliseconds."""
SEED = "2026"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        settings = Settings.model_validate({"data_dir": data, "image_model": "sketch", "speech": "vosk"})
        app = create_app(build_studio(settings, Accounts(settings.tokens), open_images(settings)))
        with serving(app) as url, sync_playwright() as playwright, chromium(playwright) as browser:
            for name, use in TABS.items():
                take(browser, url, folder / f"{name}.png", use)


def take(browser: Browser, url: str, target: Path, use: Callable[[Page], None]) -> None:
    page, _ = open_page(new_profile(browser, size=WINDOW, scale=1.5), url)
    use(page)
    # Let the last picture and the fonts be drawn.
    page.wait_for_timeout(1500)
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=target)
    page.context.close()
    print(target)


def avatar(page: Page) -> None:
    page.locator("#avatar-prompt textarea").fill("A smiling woman with long red hair and glasses")
    page.get_by_text("Flat illustration", exact=True).click()
    _make(page, "avatar", count="4")


def hero(page: Page) -> None:
    page.get_by_role("tab", name="Hero", exact=True).click()
    page.locator("#hero-prompt textarea").fill("Pine trees above a lake")
    page.get_by_text("Forest mist", exact=True).click()
    _make(page, "hero", count="1")


def _make(page: Page, kind: str, count: str) -> None:
    more = page.locator(f"#{kind}-advanced > button")
    more.click()
    # A seed that is typed chooses Keep, once that is there to be chosen.
    page.locator(f"#{kind}-seed-mode label.selected").wait_for()
    settle(page)
    page.locator(f"#{kind}-seed input").fill(SEED)
    page.locator(f"#{kind}-seed-mode label.selected").get_by_text("Keep").wait_for()
    more.click()
    number = page.locator(f"#{kind}-count input[type=number]")
    number.fill(count)
    number.press("Tab")
    page.locator(f"#{kind}-go").click()
    # The model may still be loading, and a busy machine takes its time.
    page.locator(f"#{kind}-status .done").wait_for(timeout=SLOW)


def transcribe(page: Page) -> None:
    page.get_by_role("tab", name="Transcribe", exact=True).click()
    page.locator("#transcribe-file input[type=file]").set_input_files(SOUND)
    page.locator("#transcribe-file").get_by_text(".wav").first.wait_for()
    page.locator("#transcribe-go").click()
    page.locator("carrot-transcript .t-paragraph .w").first.wait_for()


def library(page: Page) -> None:
    """What the shots before have made."""
    page.get_by_role("tab", name="Library", exact=True).click()
    page.locator("carrot-library .l-open").nth(2).wait_for()


TABS: dict[str, Callable[[Page], None]] = {"avatar": avatar, "hero": hero, "transcribe": transcribe, "library": library}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
