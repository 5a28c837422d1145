"""Make the README's picture of the Next.js app: `python -m docs.nextjs [FOLDER]`; needs tests/requirements.txt and npm.

Builds the app, and uses it as a person would, on a desktop and on a phone, beside a studio on the built-in models, a
speech service and Firestore's emulator. Saves nextjs.png.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.app.delivery.conftest import HERE as EMULATOR
from tests.app.delivery.emulator import Emulator
from tests.browser import PHONE, chromium, new_profile
from tests.examples.nextjs import Town, build, town

ROOT = Path(__file__).parents[1]
LONGER = ROOT / "tests" / "data" / "speech" / "longer.wav"
DESKTOP = (1180, 844)
HEIGHT = 720
GAP = 24
"""Pixels."""
SLOW = 240_000
"""Milliseconds."""


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build(folder / "app")
        shutil.copytree(EMULATOR, folder / "emulator")
        subprocess.run(["npm", "ci", "--silent"], cwd=folder / "emulator", check=True)
        emulator = Emulator(folder / "emulator" / "emulator.mjs")
        try:
            (folder / "town").mkdir()
            with town(folder / "app", folder / "town", emulator) as place:
                shots = take(place, folder)
        finally:
            emulator.kill()
        beside(shots).quantize(256).save(target, optimize=True)
    print(target)


def take(place: Town, folder: Path) -> list[Path]:
    shots = [folder / f"{name}.png" for name in ("avatar", "away", "voice")]
    with sync_playwright() as playwright, chromium(playwright) as browser:
        phone = new_profile(browser, size=PHONE, dark=True)
        away, voice = phone.new_page(), phone.new_page()
        desktop = new_profile(browser, size=DESKTOP).new_page()
        for page in (away, voice, desktop):
            page.set_default_timeout(SLOW)
        publish(away, place)
        away.screenshot(path=shots[1])
        place.start_studio()
        speak(voice, place)
        voice.screenshot(path=shots[2])
        paint(desktop, place)
        desktop.screenshot(path=shots[0])
    return shots


def publish(page: Page, place: Town) -> None:
    page.goto(f"{place.app}/hero")
    page.get_by_label("Title").fill("Snowy mountains at sunset")
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="Open the post").click()
    page.locator("article [data-placeholder]").wait_for()


def speak(page: Page, place: Town) -> None:
    page.goto(f"{place.app}/voice")
    page.get_by_label("Title").fill("Good morning")
    page.locator("input[type=file]").set_input_files(str(LONGER))
    page.get_by_role("link", name="Open the post").click()
    page.locator("article ol").wait_for()


def paint(page: Page, place: Town) -> None:
    page.goto(f"{place.app}/avatar")
    page.get_by_label("Your name").fill("Ada Lovelace")
    page.get_by_label("What does it show?").fill("A smiling woman with long red hair and glasses")
    page.get_by_label("How many?").fill("4")
    page.get_by_role("button", name="Make it").click()
    page.get_by_alt_text("Preview").wait_for()


def beside(shots: list[Path]) -> Image.Image:
    """The pictures in a row."""
    pictures = [Image.open(shot).convert("RGB") for shot in shots]
    pictures = [one.resize((one.width * HEIGHT // one.height, HEIGHT), Image.Resampling.LANCZOS) for one in pictures]
    row = Image.new("RGB", (sum(one.width for one in pictures) + GAP * (len(pictures) - 1), HEIGHT), "white")
    left = 0
    for one in pictures:
        row.paste(one, (left, 0))
        left += one.width + GAP
    return row


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs") / "nextjs.png")
