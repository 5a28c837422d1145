"""Every tab and what it can show, light and dark: nothing that keeps a person from reading or using it (axe, scrolling
sideways), and no change of its looks that nobody meant (`--update` takes the pictures anew)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, expect
from starlette.datastructures import Headers

from app.http.login import WRONG, LoginPage
from tests.app.conftest import Served
from tests.app.http.test_jobs import sound
from tests.app.ui.looks import TOLERATED, difference, keep, look
from tests.app.ui.steps import generate, open_tab, start, transcribe, unfold
from tests.app.ui.test_library_tab import made
from tests.browser import DESKTOP, PHONE, TABLET, WHOLE_CHROMIUM, chromium, new_profile, open_page

WINDOWS = {"1440": DESKTOP, "820": TABLET, "390": PHONE}
SCHEMES = ("light", "dark")
KEPT = (("1440", "light"), ("390", "dark"))
"""Each width and each theme once: what is axe's matter depends on one of them alone."""
TABS = ("Avatar", "Hero", "Transcribe", "Library")
AXE = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The one that people have: what is kept is how it draws letters."""
    with chromium(playwright, path=WHOLE_CHROMIUM) as running:
        yield running


@pytest.fixture(scope="module")
def shown(browser: Browser, served: Served) -> Iterator[Page]:
    """One page for all: it changes its width and theme as a person's window would."""
    page, watch = open_page(new_profile(browser), served.url)
    page.locator(".light.ready").nth(1).wait_for()
    yield page
    page.context.close()
    watch.check()


@dataclass(slots=True)
class Looks:
    """What is found wrong with the page, in any of its looks."""

    update: bool
    folder: Path
    changed: dict[str, str] = field(default_factory=dict)
    grave: list[Any] = field(default_factory=list)

    def see(self, page: Page, name: str, *, without: str = "") -> None:
        """`without`: a selector of what is never the same twice."""
        taken = look(page, without)
        if self.update:
            keep(name, taken)
        elif (part := difference(name, taken)) > TOLERATED:
            taken.save(self.folder / f"{name}.png")
            self.changed[name] = f"{part:.1%} of it; it is now as in {self.folder / name}.png"

    def use(self, page: Page, name: str, within: str | None = None) -> None:
        """Let axe look at it. `within`: a selector, for what lies over a page that has been looked at."""
        # A colour that is still on its way to another is neither.
        page.wait_for_function("!document.getAnimations().some(it => it instanceof CSSTransition)")
        for found in Axe().run(page, context=within, options=AXE).response["violations"]:
            if found["impact"] in GRAVE:
                self.grave += [(name, found["id"], node["target"], node["html"][:200]) for node in found["nodes"]]


@pytest.fixture
def looks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Looks]:
    found = Looks(request.config.getoption("--update"), tmp_path)
    yield found
    assert not found.grave, "\n".join(map(str, found.grave))
    assert not found.changed, "\n".join(found.changed.values())


def fits(page: Page) -> None:
    """Nobody has to scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def wear(page: Page, window: str, scheme: str) -> None:
    """Give the window this width, and the system this theme."""
    width, height = WINDOWS[window]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
    page.mouse.move(0, 0)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("window", WINDOWS)
def test_every_tab_can_be_read_and_looks_as_it_did(shown: Page, looks: Looks, window: str, scheme: str) -> None:
    wear(shown, window, scheme)
    for tab in TABS:
        open_tab(shown, tab)
        shown.mouse.move(0, 0)
        name = f"{tab.lower()}-{window}-{scheme}"
        fits(shown)
        looks.see(shown, name)
        looks.use(shown, name)


# -- what the tabs show when something has been made; each begins on any tab, with nothing over the page


def avatars(page: Page, _: Served) -> None:
    open_tab(page, "Avatar")
    unfold(page, "avatar")
    page.locator("#avatar-seed input").fill("7")
    page.locator("#avatar-advanced > button").click()
    generate(page, "avatar", "A blue knight", count=2)


def menu_of_a_picture(page: Page, served: Served) -> None:
    avatars(page, served)
    page.locator("#avatar-recipe-box > button").click()
    page.locator("#avatar-menu").click()


def picture_seen_large(page: Page, served: Served) -> None:
    avatars(page, served)
    page.locator("#avatar-gallery button.thumbnail-item").first.click()
    page.locator("#lightbox").wait_for()


def call_as_code(page: Page, served: Served) -> None:
    avatars(page, served)
    page.locator("#avatar-code-open").click()


def headline(page: Page, _: Served) -> None:
    open_tab(page, "Hero")
    generate(page, "hero", "A yellow town")
    page.locator("#hero-headline-open").click()
    page.locator("#hero-headline input").fill("A town at noon")
    page.locator("#hero-headline img").wait_for()


def wrong_field(page: Page, _: Served) -> None:
    open_tab(page, "Hero")
    unfold(page, "hero")
    page.locator("#hero-steps input").fill("9999")
    start(page, "hero", "A yellow town")
    page.locator("#hero-steps > .field-problem").wait_for()


def prompts_in_work(page: Page, served: Served) -> None:
    open_tab(page, "Avatar")
    served.image.gate.clear()
    start(page, "avatar", "A red queen\nA green king")
    expect(page.locator("#avatar-status")).to_contain_text("step 7 of 8")
    page.locator("#avatar-status img.preview").wait_for()


def transcript(page: Page, _: Served) -> None:
    open_tab(page, "Transcribe")
    transcribe(page, {"name": "A talk.wav", "mimeType": "audio/wav", "buffer": sound(4)})
    page.locator("carrot-transcript .w").first.wait_for()


def transcript_that_is_searched(page: Page, served: Served) -> None:
    transcript(page, served)
    page.locator("#transcribe-result").get_by_role("searchbox").fill("word2")
    page.locator(".w.hit.now").wait_for()


def transcript_that_is_edited(page: Page, served: Served) -> None:
    transcript(page, served)
    page.locator("#transcribe-result").get_by_role("button", name="Edit", exact=True).click()
    page.locator("[contenteditable]").first.wait_for()


SINGS = """() => {
    navigator.mediaDevices.getUserMedia = async () => {
        const context = new AudioContext();
        const sound = new OscillatorNode(context), heard = context.createMediaStreamDestination();
        sound.connect(heard);
        sound.start();
        return heard.stream;
    };
}"""


def speech_as_it_is_heard(page: Page, _: Served) -> None:
    open_tab(page, "Transcribe")
    page.evaluate(SINGS)
    page.get_by_role("tab", name="Record", exact=True).click()
    page.locator("#live-record").click()
    expect(page.locator("#live-settled")).to_contain_text("word2")


def status(page: Page, _: Served) -> None:
    page.locator("#status-open").click()
    expect(page.locator("#status-list")).to_contain_text("Free for models")


def models(page: Page, _: Served) -> None:
    page.locator("#models-open").click()
    page.locator("#models-list section").first.wait_for()


def things_in_the_library(page: Page, served: Served) -> None:
    for kind, prompt in (("avatar", "A red fox"), ("hero", "A yellow town"), ("avatar", "A blue cat")):
        made(served, served.http.post("/jobs", json={"kind": kind, "request": {"prompt": prompt, "seed": 3}}))
    open_tab(page, "Library")
    tiles = page.locator("carrot-library .l-tile")
    expect(tiles).to_have_count(3)
    for number in (0, 1):
        tiles.nth(number).get_by_role("checkbox").check()
    page.wait_for_function("[...document.querySelectorAll('.l-tile img')].every(img => img.complete)")


def picture_of_the_library(page: Page, served: Served) -> None:
    things_in_the_library(page, served)
    page.locator(".l-open").first.click()
    page.locator(".l-recipe dd").first.wait_for()


def two_compared(page: Page, served: Served) -> None:
    things_in_the_library(page, served)
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".l-stage").wait_for()


@dataclass(frozen=True, slots=True)
class State:
    make: Callable[[Page, Served], None]
    within: str | None = None
    """Where axe looks; None: everywhere."""
    kept: str = ""
    """In a state whose looks are kept: what is at the top of the window."""
    without: str = ""
    """What is never the same twice in them."""


STATES = (
    State(avatars, kept="#avatar-gallery", without="#avatar-status .progress"),
    State(menu_of_a_picture, "#avatar-tab"),
    State(picture_seen_large, "#lightbox"),
    State(call_as_code, "#avatar-code"),
    State(headline, "#hero-tab"),
    State(wrong_field, "#hero-tab"),
    State(prompts_in_work, "#avatar-tab"),
    State(transcript, kept="#transcribe-result", without=".when"),
    State(transcript_that_is_searched, "#transcribe-result"),
    State(transcript_that_is_edited, "#transcribe-result"),
    State(speech_as_it_is_heard, "#transcribe-tab"),
    State(status, "#status-drawer"),
    State(models, "#models-drawer"),
    State(things_in_the_library, kept="carrot-library"),
    State(picture_of_the_library, ".l-dialog"),
    State(two_compared, ".l-dialog"),
)


@pytest.fixture
def fresh(shown: Page, served: Served) -> Iterator[Page]:
    """The page with nothing made, and nothing chosen or typed."""
    served.image.gate.set()
    wear(shown, "1440", "light")
    shown.evaluate("sessionStorage.clear()")
    shown.goto("about:blank")
    for job in served.http.get("/jobs").json()["jobs"]:
        served.http.delete(f"/jobs/{job['job_id']}?forget=true").raise_for_status()
    shown.goto(served.url)
    shown.locator("#avatar-go").wait_for()
    yield shown
    served.image.gate.set()


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.make.__name__)
def test_what_a_tab_shows_can_be_read_and_looks_as_it_did(
    fresh: Page, served: Served, looks: Looks, state: State
) -> None:
    state.make(fresh, served)
    for window, scheme in KEPT:
        wear(fresh, window, scheme)
        name = f"{state.make.__name__}-{window}-{scheme}"
        fits(fresh)
        if state.kept:
            fresh.locator(state.kept).evaluate("it => it.scrollIntoView({ block: 'start' })")
            looks.see(fresh, name, without=state.without)
        looks.use(fresh, name, state.within)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_way_in_can_be_read(browser: Browser, looks: Looks, scheme: str) -> None:
    profile = new_profile(browser, size=PHONE, dark=scheme == "dark")
    page = profile.new_page()
    page.set_content(bytes(LoginPage().answer(Headers(), "/", problem=WRONG).body).decode())
    looks.use(page, f"login-{scheme}")
    profile.close()
