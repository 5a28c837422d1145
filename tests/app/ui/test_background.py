"""An avatar's background on the page: kept, a colour or nothing, as it is seen and as it is saved."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.downloads import Downloads
from app.work.background import PORTRAIT_MODEL
from engines.weights.download import Patience
from engines.weights.store import ModelStore
from tests.app.conftest import Served, serve
from tests.app.ui.steps import generate
from tests.browser import PHONE, new_profile, open_page
from tests.engines.weights.model_server import Served as ModelServer
from tests.engines.weights.model_server import serving as serving_model
from tests.portrait import BEHIND, FACE, PhotoEngine, package, registry_at

# Of each picture as it is seen: how opaque it is behind the person and on her face, and what colour is laid behind.
SEEN = """([images, behind, face]) => images.map((image) => {
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const alpha = ([x, y]) => context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data[3];
    const through = image.classList.contains("see-through");
    return [alpha(behind), alpha(face), getComputedStyle(image).backgroundColor, through];
})"""


@pytest.fixture(scope="module")
def publisher(npm_cache: Path) -> Iterator[ModelServer]:
    with serving_model(package(npm_cache)) as it:
        yield it


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, publisher: ModelServer) -> Iterator[Served]:
    """A studio that has not the model yet, and gets it from the publisher."""
    folder = tmp_path_factory.mktemp("data")
    client = httpx.Client
    store = ModelStore(
        folder / "models",
        registry_at(publisher),
        lambda: client(timeout=20, trust_env=False),
        Patience(attempts=1, first_pause=0.01),
    )
    yield from serve(folder, image=PhotoEngine(), downloads=Downloads(store))


@pytest.fixture
def model(served: Served) -> None:
    """The model is there, whatever ran before."""
    served.studio.downloads.store.pull(PORTRAIT_MODEL, lambda _: None)


def choose(page: Page, name: str) -> None:
    page.locator("#avatar-background").get_by_text(name, exact=True).click()


def seen(page: Page) -> list[Any]:
    """The large picture and its three crops, once they are loaded."""
    page.wait_for_function(
        "[...document.querySelectorAll('#avatar-gallery .thumbnail-item img, .as-avatar img')]"
        ".every((image) => image.complete && image.naturalWidth)"
    )
    images = page.locator("#avatar-gallery .thumbnail-item img, .as-avatar img")
    found: list[Any] = images.evaluate_all(
        f"(images, [behind, face]) => ({SEEN})([images, behind, face])", [BEHIND, FACE]
    )
    return found


def saved(page: Page, press: str) -> Image.Image:
    with page.expect_download() as download:
        page.locator(press).click()
    return Image.open(BytesIO(Path(download.value.path()).read_bytes()))


def at(image: Image.Image, place: tuple[float, float]) -> Any:
    return image.getpixel((round(place[0] * image.width), round(place[1] * image.height)))


def test_the_model_is_got_where_it_is_missed_and_the_choice_is_shown(page: Page, publisher: ModelServer) -> None:
    generate(page, "avatar", "astronaut")
    choose(page, "Transparent")
    box = page.locator("#avatar-background")
    expect(box).to_contain_text("a model that is not here yet (")
    assert [alpha for alpha, *_ in seen(page)] == [255] * 4
    publisher.statuses = [404]
    box.get_by_role("button", name="Get it").click()
    expect(box).to_contain_text("answered 404")
    box.get_by_role("button", name="Get it").click()
    expect(page.locator("#avatar-gallery img.see-through")).to_be_visible()
    expect(box.get_by_role("button", name="Get it")).to_be_hidden()
    assert [one[:2] for one in seen(page)] == [[0, 255]] * 4


@pytest.mark.usefixtures("model")
def test_what_is_chosen_is_seen_at_once_and_saved(page: Page) -> None:
    generate(page, "avatar", "astronaut")
    assert [(alpha, through) for alpha, _, _, through in seen(page)] == [(255, False)] * 4
    choose(page, "Transparent")
    page.wait_for_function("document.querySelectorAll('img.see-through').length === 4")
    assert [(*one[:2], one[3]) for one in seen(page)] == [(0, 255, True)] * 4
    assert at(saved(page, "#avatar-download"), BEHIND)[3] == 0
    page.get_by_label("More", exact=True).click()
    expect(page.get_by_text("Download JPEG", exact=True)).to_be_hidden()
    expect(page.get_by_text("JPEG cannot be transparent", exact=True)).to_be_visible()
    assert at(saved(page, "text=Download WebP"), BEHIND)[3] == 0

    choose(page, "Colour")
    page.locator("#avatar-background input[type=color]").fill("#204060")
    page.wait_for_function("document.querySelector('.as-avatar img').style.backgroundColor === 'rgb(32, 64, 96)'")
    assert [(alpha, colour) for alpha, _, colour, _ in seen(page)] == [(0, "rgb(32, 64, 96)")] * 4
    assert at(saved(page, "#avatar-download"), BEHIND) == (0x20, 0x40, 0x60)
    page.get_by_label("More", exact=True).click()
    assert at(saved(page, "text=Download JPEG"), FACE) != (0x20, 0x40, 0x60)

    page.locator("#avatar-code-open").click()
    for language, added in (("curl", '-0?background=%23204060"'), ("Python", ' + "?background=%23204060"')):
        page.get_by_role("tab", name=language).click()
        expect(page.locator("#avatar-code pre:not([hidden])")).to_contain_text(added)
    page.keyboard.press("Escape")

    choose(page, "Keep")
    page.wait_for_function("document.querySelector('.as-avatar img').style.backgroundColor === ''")
    assert [alpha for alpha, *_ in seen(page)] == [255] * 4
    assert saved(page, "#avatar-download").mode == "RGB"
    page.locator("#avatar-code-open").click()
    expect(page.locator("#avatar-code")).not_to_contain_text("background=")
    page.keyboard.press("Escape")


@pytest.mark.usefixtures("model")
def test_each_picture_keeps_what_was_chosen_for_it(page: Page) -> None:
    generate(page, "avatar", "astronaut", count=2)
    choose(page, "Transparent")
    page.wait_for_function("document.querySelectorAll('img.see-through').length === 4")
    # Marked, which draws the row anew.
    page.locator("#avatar-favourite").click()
    expect(page.locator("#avatar-favourite")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#avatar-background").get_by_label("Transparent")).to_be_checked()
    page.wait_for_function("document.querySelectorAll('.as-avatar img.see-through').length === 3")
    thumbnails = page.locator("#avatar-gallery button.thumbnail-item")
    thumbnails.nth(1).click()
    expect(page.locator("#avatar-bar .picture-note")).to_have_text("Picture 2 of 2")
    page.keyboard.press("Escape")
    expect(page.locator("#avatar-background").get_by_label("Keep")).to_be_checked()
    href = page.locator("#avatar-download").get_attribute("href") or ""
    assert "background" not in parse_qs(urlsplit(href).query)
    thumbnails.first.click()
    lightbox = page.locator("#lightbox img")
    expect(lightbox).to_have_class("see-through")
    page.keyboard.press("Escape")
    expect(page.locator("#avatar-background").get_by_label("Transparent")).to_be_checked()
    # A new job begins with what is drawn.
    generate(page, "avatar", "astronaut", count=2)
    expect(page.locator("#avatar-gallery img.see-through")).to_have_count(0)
    assert {alpha for alpha, *_ in seen(page)} == {255}
    expect(page.locator("#avatar-background").get_by_label("Keep")).to_be_checked()


@pytest.mark.usefixtures("model")
def test_a_picture_without_people_says_so_and_keeps_its_background(browser: Browser, served: Served) -> None:
    page, watch = open_page(new_profile(browser, size=PHONE), served.url)
    generate(page, "avatar", "a blue disc")
    choose(page, "Transparent")
    expect(page.locator(".background-problem")).to_contain_text("Nobody was found in this picture")
    expect(page.locator("#avatar-background").get_by_label("Keep")).to_be_checked()
    assert [alpha for alpha, *_ in seen(page)] == [255] * 4
    small = page.locator("#avatar-background .segments label").evaluate_all(
        "found => found.filter((one) => one.offsetHeight < 44 || one.offsetWidth < 44).length"
    )
    assert small == 0
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    page.context.close()
    # The browser itself tells of every answer that is a refusal.
    watch.check("422")
