"""What tests do on the page, in a person's words."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser import SLOW_MS

expect.set_options(timeout=SLOW_MS)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def generate(page: Page, kind: str, prompt: str, *, count: int = 1) -> None:
    """Press Generate and wait for the pictures."""
    before = last_job(page, kind)
    start(page, kind, prompt, count=count)
    until_done(page, kind, before)


def last_job(page: Page, tab: str) -> str | None:
    """The id of the job whose end the tab shows."""
    found: str | None = page.evaluate(f"document.querySelector('#{tab}-status [data-job]')?.dataset.job ?? null")
    return found


def until_done(page: Page, tab: str, before: str | None = None) -> None:
    """Wait until the tab shows the result of another job than `before`."""
    newer = f"document.querySelector('#{tab}-status [data-job]')?.dataset.job"
    page.wait_for_function(f"before => {newer} && {newer} !== before", arg=before)


def start(page: Page, kind: str, prompt: str, *, count: int = 1) -> None:
    page.locator(f"#{kind}-prompt textarea").fill(prompt)
    if count > 1:
        number = page.locator(f"#{kind}-count input[type=number]")
        number.fill(str(count))
        number.press("Tab")
    page.locator(f"#{kind}-go").click()


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
    return int(page.locator(f"#{kind}-seed input").input_value())


def toast(page: Page) -> str:
    """The text of the toast that is up; it is closed again."""
    text = page.get_by_test_id("toast-text").first
    text.wait_for()
    said = text.inner_text()
    page.get_by_test_id("toast-close").first.click()
    return said
