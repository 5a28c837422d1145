"""What is done with a picture on the page, in a real browser."""

from __future__ import annotations

import json
import os
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Page, expect

from app.ui.avatar import PHOTO_GONE
from engines.picture_parts import exif_with, read_texts
from tests.app.conftest import Served
from tests.app.ui.steps import corner, drop, generate, last_job, open_tab, pictures, seed_of, until_done, values
from tests.browser import PHONE, new_profile, open_page

THUMBNAILS = "#avatar-gallery button.thumbnail-item"

A1111 = (
    "a red fox,\nin snow\nNegative prompt: blurry\nSteps: 9, Sampler: Euler a, CFG scale: 6.5, Seed: 77, Size: 512x640"
)


SLOW_LINE = """() => {
    const send = window.fetch;
    window.fetch = async (...request) => {
        const { pathname } = new URL(request[0].url ?? request[0], location.href);
        if (pathname.endsWith("/queue/join")) await new Promise((go) => setTimeout(go, 400));
        return send(...request);
    };
}"""
"""From now on each event of the page takes a while to get to the studio."""


def active(page: Page) -> str:
    found: str = page.evaluate("document.activeElement.className")
    return found


def test_a_picture_is_seen_large_and_the_next_with_the_arrows(page: Page) -> None:
    generate(page, "avatar", "A blue knight", count=3)
    first = seed_of(page, "avatar")
    page.locator(THUMBNAILS).first.click()
    box = page.locator("#lightbox")
    expect(box).to_be_visible()
    note = box.locator(".lightbox-note")
    expect(note).to_have_text(f"Seed {first} · 1 / 3")
    page.keyboard.press("ArrowRight")
    expect(note).to_have_text(f"Seed {first + 1} · 2 / 3")
    box.get_by_role("button", name="Next picture").click()
    expect(note).to_have_text(f"Seed {first + 2} · 3 / 3")
    shown = box.locator("img").get_attribute("src")
    assert shown == page.locator(THUMBNAILS).nth(2).locator("img").get_attribute("src")
    # What can be done follows, and stays inside of the window with the keyboard.
    expect(page.locator("#avatar-recipe-box")).to_contain_text("Recipe of picture 3")
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "['DIALOG', 'BODY'].includes((document.activeElement.closest('dialog') ?? document.body).tagName)"
        )
        assert "thumbnail-item" not in active(page)
    page.keyboard.press("ArrowRight")
    expect(note).to_have_text(f"Seed {first} · 1 / 3")
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    assert "thumbnail-item" in active(page)
    assert page.evaluate(f"document.activeElement === document.querySelector('{THUMBNAILS}')")


def test_what_is_pressed_quickly_over_a_slow_line_is_not_forgotten(page: Page) -> None:
    generate(page, "avatar", "A slow knight", count=3)
    page.evaluate(SLOW_LINE)
    page.locator(THUMBNAILS).first.click()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#lightbox .lightbox-note")).to_contain_text("3 / 3")
    expect(page.locator("#avatar-recipe-box")).to_contain_text("Recipe of picture 3")
    page.keyboard.press("Escape")
    pictures = page.locator("#avatar-gallery img")
    older = pictures.first.get_attribute("src") or ""
    generate(page, "avatar", "A fast knight")
    newer = pictures.first.get_attribute("src") or ""
    recent = page.locator("#avatar-recent button.thumbnail-item")
    expect(recent).not_to_have_count(1)
    for number, shown in ((1, older), (0, newer)):
        recent.nth(1 - number).click()
        recent.nth(number).click()
        expect(pictures.first).to_have_attribute("src", shown)
        page.wait_for_timeout(1000)
        expect(pictures.first).to_have_attribute("src", shown)


def test_the_buttons_follow_the_tab_however_quickly_it_changes(page: Page) -> None:
    open_tab(page, "Transcribe")
    page.evaluate(SLOW_LINE)
    for tab in ("Record", "Upload a file", "Record"):
        page.get_by_role("tab", name=tab, exact=True).click()
    expect(page.locator("#transcribe-go")).to_be_hidden()
    page.wait_for_timeout(1000)
    expect(page.locator("#transcribe-go")).to_be_hidden()
    page.get_by_role("tab", name="Upload a file", exact=True).click()
    expect(page.locator("#transcribe-go")).to_be_visible()


def test_one_picture_has_no_arrows_and_closes_at_its_button(page: Page) -> None:
    generate(page, "avatar", "A blue knight")
    page.locator(THUMBNAILS).click()
    box = page.locator("#lightbox")
    expect(box.get_by_role("button", name="Next picture")).to_be_hidden()
    box.get_by_role("button", name="Close").click()
    expect(box).to_be_hidden()


def test_four_more_are_drawn_with_the_seeds_that_follow(page: Page, served: Served) -> None:
    page.get_by_text("Watercolour", exact=True).click()
    generate(page, "avatar", "A green knight", count=2)
    first, before = seed_of(page, "avatar"), last_job(page, "avatar")
    page.locator("#avatar-prompt textarea").fill("something else")
    page.get_by_role("button", name="Four more with the next seeds").click()
    until_done(page, "avatar", before)
    [job] = served.recent("avatar", limit=1)
    assert [image.seed for image in job.result.images] == [first + 2 + number for number in range(4)]  # type: ignore[union-attr]
    assert job.request.prompt == "A green knight"  # type: ignore[attr-defined]
    assert job.request.preset == "watercolour"  # type: ignore[attr-defined]


def test_a_hero_becomes_the_photo_of_an_avatar(page: Page, served: Served) -> None:
    open_tab(page, "Hero")
    generate(page, "hero", "A yellow town")
    page.get_by_role("button", name="Use as photo of an avatar").click()
    expect(page.locator("#avatar-photo img")).to_be_visible()
    before = len(served.recent("avatar"))
    generate(page, "avatar", "A blue knight")
    # The mean of the photo: yellow, and the disc in it.
    red, _, blue = corner(pictures(page, "avatar")[0])
    assert red > 160 > blue
    assert served.recent("avatar", limit=1)[0].request.photo_sha256 is not None  # type: ignore[attr-defined]
    # Its photo is not kept, so that more of it cannot be drawn.
    page.locator("#avatar-more").click()
    note = page.locator("#avatar-photo > .field-problem")
    expect(note).to_contain_text("This picture started from a photo, which is not kept.")
    page.locator("#avatar-again").click()
    expect(note).to_have_text(PHOTO_GONE)
    expect(note).to_have_role("status")
    assert page.get_by_test_id("toast-text").count() == 0
    assert len(served.recent("avatar")) == before + 1


@pytest.mark.parametrize(
    ("name", "suffix", "size"),
    [("Download WebP", "webp", 256), ("Download JPEG", "jpg", 256), ("Enlarged twice (Lanczos), PNG", "png", 512)],
)
def test_the_menu_has_other_formats_that_tell_how_they_were_made(page: Page, name: str, suffix: str, size: int) -> None:
    generate(page, "avatar", "A green knight")
    page.get_by_label("More", exact=True).click()
    with page.expect_download() as download:
        page.get_by_text(name, exact=True).click()
    assert download.value.suggested_filename.endswith(f".{suffix}")
    data = Path(download.value.path()).read_bytes()
    with Image.open(BytesIO(data)) as image:
        assert image.size == (size, size)
    texts = read_texts(BytesIO(data))
    assert json.loads(texts.get("recipe") or texts["UserComment"])["prompt"].count("A green knight") == 1


def test_copied_code_names_this_studio_and_makes_the_same_picture(page: Page, tmp_path: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    generate(page, "avatar", "A <b>green</b> knight's “hat”")
    page.get_by_role("button", name="Copy as code").click()
    dialog = page.locator("#avatar-code")
    dialog.get_by_role("tab", name="curl").press("ArrowRight")
    expect(dialog.get_by_role("tab", name="Python")).to_be_focused()
    dialog.get_by_role("tab", name="Python").press("ArrowLeft")
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("status")).to_have_text("Copied.")
    code = page.evaluate("navigator.clipboard.readText()")
    subprocess.run(
        ["bash", "-e", "-c", code], cwd=tmp_path, env={**os.environ, "STUDIO_TOKEN": ""}, check=True, timeout=60
    )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    source = page.locator(f"{THUMBNAILS} img").get_attribute("src") or ""
    assert (tmp_path / "picture.png").read_bytes() == page.request.get(source).body()


def test_a_headline_is_seen_and_downloaded(page: Page, served: Served) -> None:
    open_tab(page, "Hero")
    page.get_by_text("From a post", exact=True).click()
    page.locator("#hero-title textarea").fill("My yellow <bicycle>")
    page.locator("#hero-go").click()
    until_done(page, "hero")
    page.get_by_role("button", name="Lay a headline over it").click()
    panel = page.locator("#hero-headline")
    expect(panel.get_by_label("Headline")).to_have_value("My yellow <bicycle>")
    expect(panel.locator("img")).to_be_visible()
    panel.get_by_label("Headline").fill("A & B?")
    with page.expect_download() as download:
        page.wait_for_function("document.querySelector('#hero-headline a').href.includes('A+%26+B')")
        panel.get_by_text("Download PNG").click()
    file = served.recent("hero", limit=1)[0].files[0]
    path = f"/files/{file.id}/headline"
    assert (
        Path(download.value.path()).read_bytes()
        == served.http.get(path, params={"text": "A & B?", "format": "png"}).content
    )
    assert download.value.suggested_filename.endswith("-headline.png")
    panel.get_by_label("Headline").fill(" ")
    expect(panel.locator("img")).to_be_hidden()


def test_an_avatar_is_seen_at_the_sizes_of_apps(page: Page) -> None:
    generate(page, "avatar", "A green knight")
    crops = page.locator("#avatar-bar .as-avatar img")
    sides = crops.evaluate_all("found => found.map(img => [img.width, img.height, getComputedStyle(img).borderRadius])")
    assert sides == [[side, side, "50%"] for side in (128, 64, 32)]
    page.wait_for_function(
        "[...document.querySelectorAll('.as-avatar img')].every(img => img.naturalWidth === 2 * img.width)"
    )


def png_with(text: str) -> bytes:
    info = PngInfo()
    info.add_text("parameters", text)
    out = BytesIO()
    Image.new("RGB", (64, 80)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def test_a_dropped_picture_of_a1111_fills_the_form(page: Page) -> None:
    open_tab(page, "Transcribe")
    told = drop(page, "fox <1>.png", "image/png", png_with(f"{A1111}, Clip skip: 2"))
    assert told == '"Drop it to use its settings"'
    expect(page.locator("#avatar-prompt textarea")).to_have_value("a red fox,\\\nin snow")
    expect(page.locator("#avatar-status")).to_contain_text("The settings of fox")
    expect(page.locator("#avatar-status .warning")).to_have_text("Not known here: Clip skip: 2.")
    page.locator("#avatar-advanced button").first.click()
    boxes = ("avatar-negative", "avatar-seed", "avatar-width", "avatar-height", "avatar-steps", "avatar-guidance")
    assert values(page, *boxes, "avatar-sampler") == ["blurry", "77", "512", "640", "9", "6.5", "euler_a"]
    expect(page.locator("#avatar-preset label.selected")).to_have_text("No preset")
    before = last_job(page, "avatar")
    page.locator("#avatar-go").click()
    until_done(page, "avatar", before)
    assert seed_of(page, "avatar") == 77


def test_a_dropped_picture_of_ours_gives_back_what_was_typed(page: Page) -> None:
    open_tab(page, "Hero")
    page.get_by_text("City at night", exact=True).click()
    generate(page, "hero", "A yellow town")
    seed = seed_of(page, "hero")
    page.get_by_label("More", exact=True).click()
    with page.expect_download() as download:
        page.get_by_text("Download WebP", exact=True).click()
    page.reload()
    page.locator("#settings-from").wait_for()
    drop(page, "town.webp", "image/webp", Path(download.value.path()).read_bytes())
    expect(page.locator("#hero-prompt textarea")).to_have_value("A yellow town")
    expect(page.locator("#hero-preset label.selected")).to_have_text("City at night")
    assert seed_of(page, "hero") == seed
    expect(page.locator("#hero-status .warning")).to_have_count(0)


def test_a_picture_without_settings_is_told(page: Page) -> None:
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif_with("a holiday", "camera"))
    drop(page, "beach.jpg", "image/jpeg", out.getvalue())
    expect(page.locator("#avatar-status")).to_contain_text("beach.jpg holds no settings.")


def test_a_picture_that_is_dropped_on_the_photo_is_the_photo(page: Page) -> None:
    page.locator("#avatar-advanced button").first.click()
    page.locator("#avatar-photo input[type=file]").first.wait_for(state="attached")
    assert drop(page, "fox.png", "image/png", png_with(A1111), on="#avatar-photo button") == "none"
    expect(page.locator("#avatar-strength")).to_be_visible()
    expect(page.locator("#avatar-prompt textarea")).to_have_value("")


def test_a_thumb_can_press_everything_on_a_phone(browser: Browser, served: Served) -> None:
    page, watch = open_page(new_profile(browser, size=PHONE), served.url)
    generate(page, "avatar", "A blue knight", count=2)
    tools: list[Any] = page.locator("#avatar-bar .tool").evaluate_all(
        "found => found.filter(tool => tool.offsetParent).map(tool => [tool.getAttribute('aria-label'), "
        "tool.offsetWidth, tool.offsetHeight])"
    )
    assert len(tools) == 7
    assert [tool for tool in tools if not tool[0] or min(tool[1:]) < 44] == []
    recent = page.locator("#avatar-recent button.thumbnail-item").first.bounding_box()
    assert recent is not None
    assert min(recent["width"], recent["height"]) >= 44
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    page.context.close()
    watch.check()


def test_a_favourite_stays_one_and_a_deleted_picture_is_gone(page: Page, served: Served) -> None:
    generate(page, "avatar", "A red queen")
    job = last_job(page, "avatar")
    star = page.locator("#avatar-favourite")
    expect(star).to_have_attribute("aria-pressed", "false")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    assert [made["job_id"] for made in served.http.get("/jobs?favourite=true").json()["jobs"]] == [job]
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_label("More", exact=True).click()
    page.locator("#avatar-delete").click()
    assert served.http.get(f"/jobs/{job}").status_code == 200
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_label("More", exact=True).click()
    page.locator("#avatar-delete").click()
    expect(page.locator("#avatar-status")).to_have_text("Deleted.")
    expect(page.locator("#avatar-gallery img")).to_have_count(0)
    assert served.http.get(f"/jobs/{job}").status_code == 404
