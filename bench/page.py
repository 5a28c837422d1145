"""What opening the page costs a browser, and how soon a person can work and sees a picture, on a desktop and a phone.

The plain alternative, in the same run, is the same page as `gradio.mount_gradio_app` serves it by itself. Every opening
is a first one: the browser has kept nothing. Needs tests/requirements.txt.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Browser, Page, sync_playwright

from bench.report import report
from tests.browser import DESKTOP, PHONE, chromium, new_profile
from tests.conftest import launched
from tests.serving import process_of

PLAIN = '''
import os, sys
from pathlib import Path
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio, uvicorn
from fastapi import FastAPI
from app.settings.fields import Settings
from app.ui.blocks import build_blocks
from app.ui.cache import gradio_cache
from app.ui.theme import FONT, STATIC, mount_options, page_css, page_script, page_words
from app.wiring import build_studio, open_accounts, open_images
import base64

settings = Settings.model_validate({"data_dir": sys.argv[2], "image_model": "sketch", "speech": "vosk"})
studio = build_studio(settings, open_accounts(settings), open_images(settings))
app = FastAPI()

class Local:
    """Says whose page it is, as the studio's own access check does: without it every event fails."""
    def __init__(self, app): self.app = app
    async def __call__(self, scope, receive, send):
        scope.setdefault("state", {})["account"] = "local"
        await self.app(scope, receive, send)

app.add_middleware(Local)
options = mount_options()
font = base64.b64encode((STATIC / FONT).read_bytes()).decode()
face = "@font-face{font-family:Inter;font-weight:100 900;src:url(data:font/woff2;base64," + font + ")}"
options["css"] = page_css() + face
# Custom elements are defined in the head of the studio's own page; here they stay plain ones.
options["head"] = page_words() + "<script>" + page_script() + "</script>"
gradio.mount_gradio_app(app, build_blocks(studio, gradio_cache()), path="/", **options)
print("started", flush=True)
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
'''
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
USABLE = """
() => {
  const button = document.querySelector("#avatar-go");
  const box = button?.getBoundingClientRect();
  return box?.width && button.checkVisibility({ visibilityProperty: true }) && !button.disabled && performance.now();
}
"""
POLL_MS = 20
"""Between two looks at the page. By default Playwright looks in each frame, and has the page draw all of them."""
SETTLED_MS = 2000
"""After this time nothing of a page moves or is loaded any more."""
WINDOWS = {"1440": DESKTOP, "390": PHONE}


@contextmanager
def plain(folder: Path) -> Iterator[str]:
    with process_of(PLAIN, str(folder)) as (_, url):
        yield url


def opened(
    browser: Browser, url: str, size: tuple[int, int], *, counted: bool = False
) -> tuple[Page, dict[str, float]]:
    """The page, and what it took to open it: ms until Generate can be pressed, and layout shift, or, `counted`, kB and
    requests: to be told of each takes a browser a tenth of its time.
    """
    profile = new_profile(browser, size=size)
    page = profile.new_page()
    page.add_init_script(SHIFTS)
    sizes: dict[str, float] = {}
    if counted:
        devtools = profile.new_cdp_session(page)
        devtools.on("Network.requestWillBeSent", lambda told: sizes.update({told["requestId"]: 0}))
        devtools.on(
            "Network.loadingFinished", lambda told: sizes.update({told["requestId"]: told["encodedDataLength"]})
        )
        devtools.send("Network.enable")
    page.goto(url, wait_until="commit")
    usable = page.wait_for_function(USABLE, polling=POLL_MS).json_value()
    page.wait_for_timeout(SETTLED_MS)
    if counted:
        return page, {"kb": sum(sizes.values()) / 1000, "requests": len(sizes)}
    return page, {"usable_ms": usable, "layout_shift": page.evaluate("window.shifted")}


def first_picture(browser: Browser, url: str, size: tuple[int, int]) -> float:
    """ms from a press on Generate to a picture."""
    page, _ = opened(browser, url, size)
    page.locator("#avatar-prompt textarea").fill("a smiling woman with red hair")
    began = page.evaluate("performance.now()")
    page.locator("#avatar-go").click()
    shown = "document.querySelector('#avatar-gallery img')?.complete && performance.now()"
    took = float(page.wait_for_function(shown, polling=POLL_MS).json_value() - began)
    page.context.close()
    return took


def openings(browser: Browser, ours: str, plainly: str, size: tuple[int, int], rounds: int) -> dict[str, Any]:
    mine, theirs = [], []
    for number in range(rounds + 1):
        both = []
        for url in (ours, plainly):
            page, weight = opened(browser, url, size, counted=True)
            page.context.close()
            page, times = opened(browser, url, size)
            page.context.close()
            both.append(weight | times)
        if number:  # The first round only warms both servers up.
            mine.append(both[0])
            theirs.append(both[1])
    here, there = _medians(mine), _medians(theirs)
    ratios = {name: round(here[name] / there[name], 2) for name in ("kb", "requests", "usable_ms")}
    return {**here, "plain": there, "of_the_plain_page": ratios}


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, chromium(playwright) as browser:
        (Path(folder) / "plain").mkdir()
        with launched(Path(folder)) as studio, plain(Path(folder) / "plain") as plainly:
            figures = {width: openings(browser, studio.url, plainly, size, rounds) for width, size in WINDOWS.items()}
            # Only now: what was made is shown to whoever opens the page, and weighs something too.
            for width, size in WINDOWS.items():
                pictures = [first_picture(browser, studio.url, size) for _ in range(rounds)]
                figures[width]["first_picture_ms"] = round(statistics.median(pictures))
    report("page", {"rounds": rounds, **figures})


if __name__ == "__main__":
    main()
