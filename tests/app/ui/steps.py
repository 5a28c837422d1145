"""What tests do on the page, in a person's words."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from PIL import Image
from playwright.sync_api import Page, TimeoutError, expect

from tests.browser import SLOW_MS

expect.set_options(timeout=SLOW_MS)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    settle(page)


def settle(page: Page) -> None:
    """Let what has just been shown be filled in: Gradio does that a frame later, and would write over what is typed
    until then. A person is slower than that."""
    page.evaluate("async () => { for (let i = 0; i < 4; i++) await new Promise(requestAnimationFrame) }")


def generate(page: Page, kind: str, prompt: str, *, count: int = 1) -> None:
    """Press Generate and wait for the pictures, and for the buttons, which follow them."""
    before = last_job(page, kind)
    start(page, kind, prompt, count=count)
    until_done(page, kind, before)
    expect(page.locator(f"#{kind}-go")).to_be_enabled()


def last_job(page: Page, tab: str) -> str | None:
    """The id of the job whose end the tab shows."""
    found: str | None = page.evaluate(f"document.querySelector('#{tab}-status [data-job]')?.dataset.job ?? null")
    return found


def until_done(page: Page, tab: str, before: str | None = None, *, within_ms: float = SLOW_MS) -> None:
    """Wait until the tab shows the result of another job than `before`."""
    newer = f"document.querySelector('#{tab}-status [data-job]')?.dataset.job"
    try:
        page.wait_for_function(f"before => {newer} && {newer} !== before", arg=before, timeout=within_ms)
    except TimeoutError:
        raise AssertionError(f"no result; the tab says: {page.locator(f'#{tab}-tab').inner_text()}") from None


def unfold(page: Page, kind: str) -> None:
    """Open the box with the rest of the settings."""
    label = page.locator(f"#{kind}-advanced > button")
    if "open" not in (label.get_attribute("class") or "").split():
        label.click()
    page.locator(f"#{kind}-seed input").wait_for()
    settle(page)


def problem(page: Page, elem_id: str) -> str:
    """What is said to be wrong beside this field."""
    return page.locator(f"#{elem_id} > .field-problem").inner_text()


def start(page: Page, kind: str, prompt: str, *, count: int = 1) -> None:
    page.locator(f"#{kind}-prompt textarea").fill(prompt)
    if count > 1:
        number = page.locator(f"#{kind}-count input[type=number]")
        number.fill(str(count))
        number.press("Tab")
    page.locator(f"#{kind}-go").click()


DROP = """([where, name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], name, { type }));
    const at = document.querySelector(where);
    at.dispatchEvent(new DragEvent('dragover', { bubbles: true, cancelable: true, dataTransfer: files }));
    const told = getComputedStyle(document.documentElement, '::after').content;
    at.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: files }));
    return told;
}"""


def drop(page: Page, name: str, kind: str, data: bytes, *, on: str = ".brand") -> str:
    """Drop a file there, usually on the page's head; what the page tells while it hangs over it."""
    told: str = page.evaluate(DROP, [on, name, kind, base64.b64encode(data).decode()])
    return told


def choose_recordings(page: Page, *files: Any) -> None:
    """Choose these, or nothing, in the place of what was chosen. `files`: paths, or what Playwright takes for them."""
    page.evaluate("document.getElementById('transcribe-clear').click()")
    chosen = page.locator("#transcribe-file .file-preview tr.file")
    expect(chosen).to_have_count(0)
    if files:
        page.locator("#transcribe-file input[type=file]").set_input_files(files)
    expect(chosen).to_have_count(len(files))


def transcribe(page: Page, *files: Any) -> None:
    """Choose recordings, press Transcribe and wait for the first one's text."""
    choose_recordings(page, *files)
    before = last_job(page, "transcribe")
    page.locator("#transcribe-go").click()
    until_done(page, "transcribe", before)


def choose(page: Page, elem_id: str, option: str) -> None:
    """Pick an option of a dropdown."""
    page.locator(f"#{elem_id} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def values(page: Page, *elem_ids: str) -> list[str]:
    """What is written in these boxes."""
    return [page.locator(f"#{elem_id}").locator("input, textarea").first.input_value() for elem_id in elem_ids]


def pictures(page: Page, kind: str) -> list[Image.Image]:
    """The gallery's pictures, fetched as the browser fetched them."""
    found = page.locator(f"#{kind}-gallery button.thumbnail-item img")
    sources = [found.nth(number).get_attribute("src") or "" for number in range(found.count())]
    return [Image.open(BytesIO(page.request.get(source).body())) for source in sources]


def corner(image: Image.Image) -> tuple[int, ...]:
    return pixel(image, 2, 2)


def middle(image: Image.Image) -> tuple[int, ...]:
    return pixel(image, image.width // 2, image.height // 2)


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    value = image.convert("RGB").getpixel((x, y))
    assert isinstance(value, tuple)
    return tuple(int(part) for part in value)


def seed_of(page: Page, kind: str) -> int:
    unfold(page, kind)
    return int(page.locator(f"#{kind}-seed input").input_value())


def toast(page: Page) -> str:
    """The text of the toast that is up; it is closed again."""
    text = page.get_by_test_id("toast-text").first
    text.wait_for()
    said = text.inner_text()
    page.get_by_test_id("toast-close").first.click()
    return said
