"""The form of the image tabs: its place, the keyboard, several prompts at once."""

from __future__ import annotations

from pathlib import Path

import gradio
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.app.conftest import Served
from tests.app.ui.steps import corner, generate, last_job, open_tab, pictures, start, unfold, until_done
from tests.browser import DESKTOP, PHONE, TABLET, new_profile, open_page, watched
from tests.serving import until

BLUE, RED = (0, 0, 255), (255, 0, 0)
SHIFTS = """
    window.shifts = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize("size", [PHONE, TABLET, DESKTOP])
def test_generate_and_cancel_are_always_in_view_and_nothing_jumps(
    browser: Browser, served: Served, size: tuple[int, int]
) -> None:
    profile = new_profile(browser, size=size)
    profile.add_init_script(SHIFTS)
    page = profile.new_page()
    watch = watched(page)
    page.goto(served.url)
    buttons = (page.locator("#avatar-go"), page.locator("#avatar-cancel"))
    page.locator(".light.ready").nth(1).wait_for()
    page.evaluate("document.fonts.ready")
    # The limit that browsers call good.
    assert page.evaluate("shifts") < 0.1
    for button in buttons:
        expect(button).to_be_in_viewport(ratio=1)
    unfold(page, "avatar")
    for place in (0, 300, 10_000):
        page.evaluate("place => scrollTo(0, place)", place)
        for button in buttons:
            expect(button).to_be_in_viewport(ratio=1)
    if size == PHONE:
        # Below that a phone enlarges the page for who types.
        boxes = page.locator("#avatar-tab :is(input, textarea)")
        assert min(boxes.evaluate_all("all => all.map(box => parseFloat(getComputedStyle(box).fontSize))")) >= 16
    profile.close()
    watch.check()


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("kind", ["html-container", '<textarea data-testid="textbox"></textarea>'])
def test_what_is_laid_out_last_moves_nothing(
    browser: Browser, served: Served, size: tuple[int, int], kind: str
) -> None:
    # The code of the header's components, and of the prompt: on a slow computer they are there after what is below.
    assets = Path(gradio.__file__).parent / "templates/frontend/assets"
    code = {file.name for file in assets.glob("*.js") if kind in file.read_text()}
    profile = new_profile(browser, size=size)
    profile.add_init_script(SHIFTS)
    page = profile.new_page()
    watch = watched(page)
    held: list[Route] = []
    for name in code:
        page.route(f"**/{name}*", lambda route: held.append(route))
    page.goto(served.url)
    page.locator("#avatar-go").wait_for(state="attached")
    page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    for route in held:
        route.continue_()
    page.locator(".light.ready").nth(1).wait_for()
    assert held
    assert page.evaluate("shifts") < 0.1
    profile.close()
    watch.check()


SMALL = """
    [...document.querySelectorAll("a[href], button, select, summary, textarea, label:has(> input)")]
        .filter((it) => it.checkVisibility() && !it.closest(".unseen, .visually-hidden, dialog:not([open]), .drawer"))
        .map((it) => [it.id || it.className, it.textContent || it.ariaLabel, it.getBoundingClientRect()])
        .filter(([, , { width, height }]) => Math.min(width, height) > 2 && Math.min(width, height) < 43.5)
        .map(([name, text, { width, height }]) => `${name} (${text?.trim()}): ${width} x ${height}`)
"""


@pytest.mark.parametrize("size", [PHONE, TABLET])
def test_whatever_is_pressed_has_room_for_a_finger(browser: Browser, served: Served, size: tuple[int, int]) -> None:
    page, watch = open_page(new_profile(browser, size=size), served.url)
    generate(page, "avatar", "A blue knight")
    for tab in ("Avatar", "Hero", "Transcribe", "Library"):
        open_tab(page, tab)
        page.locator("[role=tabpanel]:visible :is(button, input):visible").first.wait_for()
        assert page.evaluate(SMALL) == []
    page.context.close()
    watch.check()


def test_the_keyboard_does_it_all(page: Page, served: Served) -> None:
    prompt = page.locator("#avatar-prompt textarea")
    prompt.focus()
    page.keyboard.type("A blue knight")
    # Presets are one stop, and the arrow keys choose.
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#avatar-preset label.selected")).to_have_text("Natural light")
    stops = 2
    while not page.locator("#avatar-go").evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
        stops += 1
        assert stops <= 8
    served.image.gate.clear()
    prompt.press("Enter")
    expect(page.locator("#avatar-status")).to_contain_text("step 7 of 8")
    expect(prompt).to_be_focused()
    expect(prompt).to_have_value("A blue knight")
    page.keyboard.press("Escape")
    expect(page.locator("#avatar-status")).to_contain_text("Cancelled.")
    expect(page.locator("#avatar-go")).to_be_enabled()
    # From any field; and a button that is switched off hands the focus on.
    page.locator("#avatar-count input").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#avatar-status")).to_contain_text("step 7 of 8")
    page.keyboard.press("Escape")
    expect(page.locator("#avatar-go")).to_be_enabled()
    page.locator("#avatar-go").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#avatar-cancel")).to_be_focused()
    served.image.gate.set()
    expect(page.locator("#avatar-go")).to_be_focused()


def test_a_press_is_seen_before_the_studio_has_heard_of_it(page: Page) -> None:
    page.evaluate("""() => {
        const send = window.fetch;
        const held = new Promise((go) => (window.release = go));
        window.fetch = async (...request) => {
            if (new URL(request[0].url ?? request[0], location.href).pathname.endsWith("/queue/join")) await held;
            return send(...request);
        };
    }""")
    start(page, "avatar", "A patient knight")
    expect(page.locator("#avatar-go")).to_be_disabled()
    expect(page.locator("#avatar-status [data-job]")).to_have_count(0)
    page.evaluate("window.release()")
    until_done(page, "avatar")
    expect(page.locator("#avatar-go")).to_be_enabled()
    expect(page.locator("#avatar-cancel")).to_be_disabled()


def test_each_line_and_each_alternative_is_a_job(page: Page, served: Served) -> None:
    prompt = page.locator("#avatar-prompt textarea")
    prompt.fill("A {red|blue} knight")
    prompt.press("End")
    prompt.press("Shift+Enter")
    page.keyboard.type("A green queen")
    page.locator("#avatar-go").click()
    lines = page.locator("#avatar-batch li")
    expect(page.locator("#avatar-status")).to_contain_text("3 of 3 done.")
    for line, words in enumerate(("A red knight", "A blue knight", "A green queen")):
        expect(lines.nth(line)).to_contain_text(words)
        expect(lines.nth(line)).to_contain_text("Done")
    # The gallery's picture comes after what is said.
    until(lambda: [corner(picture) for picture in pictures(page, "avatar")] == [RED])
    before = last_job(page, "avatar")
    lines.nth(1).locator("button").click()
    until_done(page, "avatar", before)
    until(lambda: [corner(picture) for picture in pictures(page, "avatar")] == [BLUE])
    assert {job.request.model_dump()["prompt"] for job in served.recent("avatar", limit=3)} == {
        "A red knight",
        "A blue knight",
        "A green queen",
    }
    start(page, "avatar", "{a|b}" * 5)
    expect(page.locator("#avatar-prompt > .field-problem")).to_contain_text("more than 16 prompts")
