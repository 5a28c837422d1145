"""The first minute on the page: examples, cards of presets, the banner, Status, and getting a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.downloads import Downloads
from app.scopes import Scope
from app.tokens import Tokens
from app.work.image import PictureWork
from engines.errors import ModelMissing
from engines.events import OnProgress, ignore
from engines.weights.download import Patience, Source
from engines.weights.registry import Archive, Model, Registry
from engines.weights.store import ModelStore
from tests.app.conftest import Served
from tests.app.ui.steps import generate, last_job, middle, open_tab, pictures, seed_of, toast, until_done
from tests.browser import open_page
from tests.engines.weights.model_server import Served as ModelServer
from tests.engines.weights.model_server import serving as serving_model
from tests.engines.weights.test_store import FILES, zipped
from tests.serving import create_app, make_studio, serving, settings_in
from tests.small_engines import BlobEngine, EchoSpeech, disc_colour


@pytest.fixture(scope="module")
def publisher() -> Iterator[ModelServer]:
    with serving_model(zipped(FILES)) as it:
        yield it


def downloads_of(publisher: ModelServer, folder: Path) -> Downloads:
    """One model, which the publisher serves."""
    digest = hashlib.sha256(publisher.content).hexdigest()
    archive = Archive(Source(publisher.url, len(publisher.content), digest), 1_000_000)
    registry = Registry((Model("tiny", "speech", "A tiny model", "Apache-2.0", "de", archive),), folder)
    patience = Patience(attempts=2, first_pause=0.01)
    client = httpx.Client
    return Downloads(ModelStore(folder / "models", registry, lambda: client(timeout=20, trust_env=False), patience))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, publisher: ModelServer) -> Iterator[Served]:
    """A studio whose pictures of presets are made."""
    folder = tmp_path_factory.mktemp("data")
    image, speech = BlobEngine(), EchoSpeech()
    settings = settings_in(folder, price_per_hour=3600)
    studio = make_studio(settings, image, speech, downloads=downloads_of(publisher, folder))
    while studio.showcase_pictures.make_one(Event()):
        pass
    with serving(create_app(studio)) as url:
        served = Served(url, studio, image, speech)
        with served.http:
            yield served


def newest(served: Served, kind: str) -> PictureWork:
    work = served.recent(kind, limit=1)[0].work
    assert isinstance(work, PictureWork)
    return work


def test_one_press_on_an_example_makes_its_picture(page: Page, served: Served) -> None:
    example = served.studio.showcase.avatar.examples[1]
    card = page.get_by_role("button", name=example.prompt)
    expect(card.locator("img")).to_have_js_property("complete", True)
    card.locator("img").evaluate("img => img.decode()")
    expect(page.locator("#avatar-gallery")).to_be_hidden()
    card.click()
    until_done(page, "avatar")
    assert middle(pictures(page, "avatar")[0]) == disc_colour(example.seed)
    work = newest(served, "avatar")
    assert (work.seed, work.preset, work.count) == (example.seed, example.preset, 1)
    assert example.prompt in work.prompt
    expect(page.locator("#avatar-prompt textarea")).to_have_value(example.prompt)
    # It gave way to the result.
    expect(card).to_be_hidden()
    open_tab(page, "Hero")
    page.locator("#hero-example-3").click()
    until_done(page, "hero")
    assert newest(served, "hero").seed == served.studio.showcase.hero.examples[2].seed


def test_a_surprise_is_one_of_the_ideas_each_with_a_seed_of_its_own(page: Page, served: Served) -> None:
    seeds = set()
    for _ in range(2):
        before = last_job(page, "avatar")
        page.locator("#avatar-surprise").click()
        until_done(page, "avatar", before)
        seeds.add(seed_of(page, "avatar"))
        prompt = page.locator("#avatar-prompt textarea").input_value()
        [idea] = [idea for idea in served.studio.showcase.avatar.ideas if idea.prompt == prompt]
        assert newest(served, "avatar").preset == idea.preset
    assert len(seeds) == 2
    expect(page.locator("#avatar-seed-mode label.selected")).to_have_text("Random")


def test_presets_are_one_stop_of_the_tab_key_and_arrows_choose(page: Page, served: Served) -> None:
    cards = page.locator("#avatar-preset label")
    expect(cards.locator("img")).to_have_count(len(served.studio.presets.avatar))
    cards.first.locator("img").evaluate("img => img.decode()")
    cards.first.locator("input").focus()
    for key, name in (("ArrowRight", "Natural light"), ("ArrowLeft", "Studio portrait"), ("ArrowLeft", "No preset")):
        page.keyboard.press(key)
        expect(page.locator("#avatar-preset label.selected")).to_have_text(name)
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#avatar-preset-note")).to_have_text(
        served.studio.presets.get("avatar", "natural-light").description
    )
    page.keyboard.press("Tab")
    expect(page.locator("#avatar-preset input:focus")).to_have_count(0)
    generate(page, "avatar", "A blue knight")
    assert newest(served, "avatar").preset == "natural-light"


def test_arrow_keys_that_come_quickly_all_count(page: Page) -> None:
    names = (
        page.locator("#avatar-preset input")
        .nth(1)
        .evaluate("""async (radio) => {
        // What the browser knows as one group when the next key comes, before a frame is drawn.
        radio.click();
        await Promise.resolve();
        return [...document.querySelectorAll("#avatar-preset input")].map(({ name }) => name);
    }""")
    )
    assert set(names) == {"avatar-preset"}


def test_all_presets_can_be_seen_at_once(page: Page) -> None:
    last = page.locator("#avatar-preset label").last
    expect(last).not_to_be_in_viewport()
    page.get_by_role("button", name="Show all").first.click()
    expect(last).to_be_in_viewport()
    page.get_by_role("button", name="Show fewer").click()
    expect(last).not_to_be_in_viewport()


def test_status_tells_the_whole_and_gives_the_focus_back(page: Page) -> None:
    generate(page, "avatar", "A blue knight")
    page.locator("#status-open").click()
    drawer = page.get_by_role("dialog", name="Status")
    for told in ("Blob, a demo model that draws one disc", "Echo", "0 in work, 0 waiting", "Free for models", "(cpu)"):
        expect(drawer).to_contain_text(told)
    expect(drawer).to_contain_text("at $3600 an hour")
    # The Tab key stays inside.
    for _ in range(3):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#status-drawer') !== null")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.locator("#status-open")).to_be_focused()


def test_a_model_is_got_paused_and_gone_on_with(page: Page, publisher: ModelServer) -> None:
    expect(page.locator("#banner")).to_contain_text("Demo models.")
    publisher.statuses = [404]
    publisher.seconds_per_piece = 0.3
    page.get_by_role("button", name="Get the real ones").click()
    row = page.locator("#model-tiny")
    expect(row).to_contain_text("licence: Apache-2.0")
    row.get_by_role("button", name="Get it").click()
    expect(row).to_contain_text("answered 404")
    row.get_by_role("button", name="Try again").click()
    expect(row.locator("progress")).to_be_visible()
    expect(row).to_contain_text("Fetching: ")
    pause = row.get_by_role("button", name="Pause")
    pause.focus()
    page.keyboard.press("Enter")
    expect(row).to_contain_text("Paused. What has arrived is kept.")
    # The list was drawn anew, and the focus is where it was.
    expect(row.get_by_role("button", name="Continue")).to_be_focused()
    publisher.seconds_per_piece = 0.0
    page.keyboard.press("Enter")
    expect(row).to_contain_text("Here. Reload the page")
    assert int(publisher.requests[-1]["Range"].removeprefix("bytes=").rstrip("-")) > 0
    page.keyboard.press("Escape")
    expect(page.locator("#models-open")).to_be_focused()


class Broken(BlobEngine):
    """Its weights are missing."""

    def load(self, on_progress: OnProgress = ignore) -> None:
        raise ModelMissing("The weights are not here: " + "put them into the folder. " * 5)


@pytest.fixture
def painter(
    browser: Browser, tmp_path: Path, publisher: ModelServer
) -> Iterator[tuple[BrowserContext, str, Downloads]]:
    """Somebody with a token for images alone, on a studio whose image model cannot be loaded."""
    secret = Tokens(tmp_path).create("painter", frozenset({Scope.IMAGES}))[1]
    downloads = downloads_of(publisher, tmp_path)
    studio = make_studio(settings_in(tmp_path), Broken(), EchoSpeech(), downloads=downloads)
    with serving(create_app(studio)) as url:
        context = browser.new_context(extra_http_headers={"Authorization": f"Bearer {secret}"})
        yield context, url, downloads
        context.close()


def test_who_is_no_admin_gets_no_models_and_a_failed_model_is_told_in_full(
    painter: tuple[BrowserContext, str, Downloads],
) -> None:
    context, url, downloads = painter
    page, _ = open_page(context, url)
    page.locator("#models-open").click()
    expect(page.locator("#models-list")).to_contain_text("Only an account with the scope admin may get models")
    expect(page.locator("#models-list button")).to_have_count(0)
    page.evaluate("window.modelToDo = 'get tiny'; document.getElementById('models-do').click()")
    assert "has not the scope admin" in toast(page)
    assert downloads.known() == {}
    page.keyboard.press("Escape")
    expect(page.locator(".light.failed")).to_have_text("Imagesnot available")
    page.locator("#status-open").click()
    why = page.locator("#status-list .why")
    expect(why).to_have_text(" ".join(("The weights are not here: " + "put them into the folder. " * 5).split()))
    assert why.evaluate("node => node.scrollWidth <= node.clientWidth")
