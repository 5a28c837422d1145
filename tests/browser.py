"""A real Chromium for tests: Debian's, headless, kept from every address but this machine's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request

CHROMIUM = "/usr/bin/chromium-headless-shell"
"""Chromium's engine without the windows around it: a page takes less than half of the work to open."""

WHOLE_CHROMIUM = "/usr/bin/chromium"
"""With what it asks its person, such as whether to install a page."""

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = (1440, 900)
TABLET = (820, 1180)
PHONE = (390, 844)
LEFT_IN_THE_MIDDLE = (
    "AbortError: signal is aborted",
    "Error: The event stream ended too early.",
    "Unexpected error Connection errored out",
    "Unexpected error 404: Not Found",
    "/gradio_api/queue/data?",
)
"""What Gradio's client logs when a page is left or reloaded while an event runs: its stream breaks, and the next try
finds the session gone. A file that is missing is logged by the browser in other words, and counts."""
SLOW_MS = 60_000
"""Longest wait for anything on a page: the machine may be busy with other work."""


@contextmanager
def chromium(playwright: Playwright, *flags: str, path: str = CHROMIUM) -> Iterator[Browser]:
    """A browser of its own, with extra command line flags."""
    browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
    try:
        yield browser
    finally:
        browser.close()


def microphone_flags(recording: Path) -> tuple[str, ...]:
    """Chromium's fake microphone hears this WAV file, over and over."""
    return (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording.resolve()}",
    )


@dataclass(slots=True)
class Watch:
    """What a page did besides what was asked of it."""

    problems: list[str] = field(default_factory=list)
    """Errors and uncaught exceptions in its console."""
    strangers: list[str] = field(default_factory=list)
    """Addresses outside this machine that it asked for."""

    def check(self, *expected: str) -> None:
        """There was nothing since the last look, but for problems with one of these words in them. A page that several
        tests share is so judged for each of them alone."""
        problems = [problem for problem in self.problems if not any(words in problem for words in expected)]
        strangers = self.strangers.copy()
        self.problems.clear()
        self.strangers.clear()
        assert (problems, strangers) == ([], [])


def new_profile(
    browser: Browser, *, size: tuple[int, int] = DESKTOP, dark: bool = False, scale: float = 1
) -> BrowserContext:
    """A person's browser: own storage, window size and colour scheme."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        device_scale_factor=scale,
        has_touch=size in (PHONE, TABLET),
        accept_downloads=True,
    )
    context.set_default_timeout(SLOW_MS)
    return context


def open_page(profile: BrowserContext, url: str) -> tuple[Page, Watch]:
    """The studio's page, loaded and ready for a person."""
    page = profile.new_page()
    watch = watched(page)
    page.goto(url)
    page.locator(".go-row button.primary:visible").wait_for()
    return page, watch


def watched(page: Page) -> Watch:
    """What the page does from now on."""
    watch = Watch()
    page.on("console", lambda message: _note_message(watch, message))
    page.on("pageerror", lambda error: watch.problems.append(str(error)))
    page.on("request", lambda request: _note_request(watch, request))
    return watch


def _note_message(watch: Watch, message: ConsoleMessage) -> None:
    if message.type != "error":
        return
    text = f"{message.text} ({message.location.get('url', '')})"
    if not any(known in text for known in LEFT_IN_THE_MIDDLE):
        watch.problems.append(text)


def _note_request(watch: Watch, request: Request) -> None:
    address = urlsplit(request.url)
    if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in ("127.0.0.1", "localhost"):
        watch.strangers.append(request.url)
