"""The page in other languages than English: chosen, whole, for each person their own, and no narrower than it needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app.i18n.catalogs import catalog
from app.i18n.update import texts
from tests.app.conftest import Served, serve
from tests.app.ui.steps import until_done
from tests.browser import DESKTOP, PHONE, SLOW_MS, watched
from tests.conftest import ROOT

SENTENCE = ROOT / "tests" / "data" / "speech" / "sentence.wav"
TOKEN = "a-token-of-enough-characters"


@contextmanager
def person(browser: Browser, served: Served, locale: str, size: tuple[int, int] = DESKTOP) -> Iterator[Page]:
    """The page, in a browser of this locale. Afterwards: nothing went wrong in its console."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, locale=locale, has_touch=size == PHONE)
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    watch = watched(page)
    page.goto(served.url)
    page.locator("#avatar-go").wait_for()
    yield page
    context.close()
    watch.check()


def config(served: Served, **headers: str) -> tuple[str, dict[str, Any]]:
    """The page's language, and what it is made of."""
    page = served.http.get("/", headers=headers)
    found = re.search(r"window.gradio_config = (\{.*?\});</script>", page.text, re.DOTALL)
    assert found is not None
    told = page.headers["Content-Language"]
    assert f'lang="{told}"' in page.text.partition("<head>")[0]
    assert {"Accept-Language", "Cookie"} <= {name.strip() for name in page.headers["Vary"].split(",")}
    return told, json.loads(found[1])


def button(config: dict[str, Any], elem_id: str) -> str:
    (found,) = (one for one in config["components"] if one["props"].get("elem_id") == elem_id)
    return str(found["props"]["value"])


def test_the_page_comes_in_the_language_that_is_wanted(served: Served) -> None:
    for headers, code, generate in (
        ({}, "en", "Generate"),
        ({"Accept-Language": "de-AT"}, "de", "Generieren"),
        ({"Accept-Language": "de", "Cookie": "carrot_language=fr"}, "fr", "Générer"),
        ({"Accept-Language": "it, es;q=0.2"}, "es", "Generar"),
        ({"Accept-Language": "de", "Cookie": "carrot_language=en"}, "en", "Generate"),
    ):
        told, page = config(served, **headers)
        assert (told, button(page, "avatar-go")) == (code, generate)


def test_what_the_page_sends_is_the_same_in_every_language(served: Served) -> None:
    _, english = config(served)
    _, german = config(served, **{"Accept-Language": "de"})
    for one, other in zip(english["components"], german["components"], strict=True):
        assert one["id"] == other["id"]
        values = [[value for _, value in page["props"].get("choices") or []] for page in (one, other)]
        assert values[0] == values[1]
    assert english["dependencies"] == german["dependencies"]


def test_programs_are_answered_in_english(served: Served) -> None:
    german = {"Accept-Language": "de", "Cookie": "carrot_language=de"}
    for path in ("/gradio_api/info", "/presets", "/openapi.json"):
        assert served.http.get(path, headers=german).json() == served.http.get(path).json()
    components = served.http.get("/config", headers=german).json()["components"]
    assert button({"components": components}, "avatar-go") == "Generate"
    refused = served.http.post("/generate", json={"prompt": " "}, headers=german).json()
    assert "is empty" in refused["error"]["message"]
    called = served.http.post("/gradio_api/call/avatar", json={"data": [" "]}, headers=german).json()
    with served.http.stream("GET", f"/gradio_api/call/avatar/{called['event_id']}", headers=german) as answer:
        assert "is empty" in answer.read().decode()


SEEN = """() => {
  const found = new Set();
  const shown = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  while (shown.nextNode()) {
    const node = shown.currentNode;
    if (node instanceof Element) {
      for (const name of ["title", "aria-label", "placeholder", "alt", "data-confirm"]) {
        if (node.getAttribute(name)) found.add(node.getAttribute(name).trim());
      }
    } else if (node.parentElement.checkVisibility() && !node.parentElement.closest("script, style, code, [lang=en]")) {
      found.add(node.textContent.trim());
    }
  }
  return [...found];
}"""
"""Every text of the page that is seen or read out."""

IN_ENGLISH = ("smiling woman", "mountains above", "call the office", "hello this is")
"""Examples of what is said to the models, and what one of them has heard."""

BY_GRADIO = {"Textbox"}
"""Labels of boxes that nobody sees; English for German ears too."""


@cache
def ours() -> frozenset[str]:
    """All English texts of the page."""
    return frozenset(said if isinstance(said, str) else said[1] for said in texts())


def english_in(seen_on_page: set[str], code: str) -> set[str]:
    """The texts that are English ones of ours which are said otherwise in this language."""
    known = catalog(code)
    left = set()
    for seen in seen_on_page:
        if seen in ours() and known.text(seen) != seen:
            left.add(seen)
        elif len(seen) > 20 and not any(part in seen for part in IN_ENGLISH) and known.finished(seen) != seen:
            # With values in it.
            left.add(seen)
    return left - BY_GRADIO


# What English that is in no catalog looks like: any of the words that few sentences do without.
WORDS = re.compile(r"\b(the|and|with|from|this|that|your|of|is|are|not|was|while|when)\b")
MODELS = ("Vosk ", "Stable Diffusion", "Blob, ")
"""Names of models, also the tests' own."""


def unmarked_in(seen_on_page: set[str]) -> set[str]:
    """The texts that are English and in no catalog."""
    return {
        seen
        for seen in seen_on_page
        if len(WORDS.findall(seen)) > 1
        and seen not in ours()
        and not seen.startswith(MODELS)
        and not any(part in seen for part in IN_ENGLISH)
    }


def test_a_walk_in_german_meets_no_english(browser: Browser, served: Served) -> None:
    with person(browser, served, "de-DE") as page:
        said: dict[str, set[str]] = {}

        def look(where: str) -> None:
            page.wait_for_timeout(200)
            seen = set(page.evaluate(SEEN))
            said[where] = english_in(seen, "de") | unmarked_in(seen)

        expect(page.locator("#lights")).to_contain_text("bereit")
        look("the first page")
        page.locator("#avatar-go").click()
        expect(page.locator("#avatar-prompt > .field-problem")).to_contain_text("Prompt ist leer")
        look("a problem beside its field")
        page.locator("#avatar-prompt textarea").fill("red")
        served.image.gate.clear()
        page.locator("#avatar-go").click()
        expect(page.locator("#avatar-status")).to_contain_text("Zeichnet")
        look("a picture in work")
        served.image.gate.set()
        until_done(page, "avatar")
        expect(page.locator("#avatar-status")).to_contain_text("1 Bild, 256 × 256, in")
        for opens in ("#avatar-menu", "#avatar-code-open"):
            page.locator(opens).click()
            look(opens)
            page.keyboard.press("Escape")
        page.locator("#avatar-width input").fill("100")
        page.locator("#avatar-go").click()
        expect(page.locator("#avatar-width > .field-problem")).to_contain_text("Vielfaches von 8")
        look("a number that is refused")
        for drawer, shown in (("status", ".status"), ("models", ".models")):
            page.locator(f"#{drawer}-open").click()
            page.locator(f"#{drawer}-list {shown}").wait_for()
            look(drawer)
            page.keyboard.press("Escape")
        page.get_by_role("tab", name="Transkribieren", exact=True).click()
        page.locator("#transcribe-file input[type=file]").set_input_files(SENTENCE)
        page.locator("#transcribe-file .file-preview").wait_for()
        page.locator("#transcribe-go").click()
        page.locator("carrot-transcript .t-tools").wait_for()
        look("a transcript")
        page.get_by_role("button", name="Bearbeiten", exact=True).click()
        look("a transcript that is corrected")
        page.get_by_role("tab", name="Bibliothek", exact=True).click()
        page.locator(".l-pick input").first.check()
        look("the library")
        page.locator(".l-open").first.click()
        look("one of the library")
        assert {where: left for where, left in said.items() if left} == {}


def test_two_people_are_answered_each_in_their_language(browser: Browser, served: Served) -> None:
    """Their events run at once in one process, and their jobs wait for each other."""
    served.image.gate.clear()
    with person(browser, served, "es-ES") as spanish, person(browser, served, "fr-CA") as french:
        for page in (spanish, french):
            page.locator("#avatar-prompt textarea").fill("green")
            page.locator("#avatar-go").click()
        expect(spanish.locator("#avatar-status")).to_contain_text("Dibujando")
        expect(french.locator("#avatar-status")).to_contain_text("En attente")
        served.image.gate.set()
        for page, done in ((spanish, "1 imagen"), (french, "1 image, ")):
            until_done(page, "avatar")
            expect(page.locator("#avatar-status")).to_contain_text(done)
        assert spanish.evaluate("navigator.language") == "es-ES"
        assert french.evaluate("navigator.language") == "fr-CA"


def test_the_switch_keeps_the_form_and_is_remembered(browser: Browser, served: Served) -> None:
    with person(browser, served, "en-US") as page:
        page.locator("#avatar-prompt textarea").fill("a red fox")
        page.locator("carrot-language select").select_option("fr")
        expect(page.locator("#avatar-go")).to_have_text("Générer")
        expect(page.locator("#avatar-prompt textarea")).to_have_value("a red fox")
        assert page.evaluate("document.documentElement.lang") == "fr"
        # Gradio's own texts too.
        page.locator("#avatar-advanced > button").click()
        expect(page.locator("#avatar-photo")).to_contain_text("Déposez l'image ici")
        again = page.context.new_page()
        again.goto(served.url)
        expect(again.locator("#avatar-go")).to_have_text("Générer")
        expect(again.locator("carrot-language select")).to_have_value("fr")


WIDE = """() => [...document.querySelectorAll("button, a, [role=tab], .light, .tool, h2, label")]
  .filter((one) => one.checkVisibility() && !one.closest(".preset-cards, .unseen, .visually-hidden, .drawer"))
  .filter((one) => {
    const { left, right } = one.getBoundingClientRect();
    const cut = one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1 && !one.matches("a, .label");
    return right > innerWidth + 1 || left < -1 || cut;
  })
  .map((one) => `${one.id} ${one.innerText} ${one.scrollWidth} > ${one.clientWidth}`)"""
"""What hangs out of the window, or whose text is wider than it."""


@pytest.mark.parametrize("locale", ["de-DE", "fr-FR"])
def test_long_words_fit_on_a_phone(browser: Browser, served: Served, locale: str) -> None:
    with person(browser, served, locale, PHONE) as page:
        for tab in ("avatar", "hero", "transcribe", "library"):
            page.locator(f"#tabs > .tab-wrapper [role=tab][data-tab-id={tab}]").click()
            page.wait_for_timeout(300)
            assert page.evaluate(WIDE) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_log_in_page_and_the_installed_page_speak_it_too(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=f"web={TOKEN}"):
        german = {"Accept": "text/html", "Accept-Language": "de"}
        asked = served.http.get("/", headers=german)
        assert asked.status_code == 401
        assert '<html lang="de">' in asked.text
        assert "<button>Anmelden</button>" in asked.text
        wrong = served.http.post("/login", data={"token": "x" * 30}, headers=german)
        assert "unbekannt, abgelaufen oder widerrufen" in wrong.text
        assert "Log in" in httpx.get(served.url, headers={"Accept": "text/html"}).text
        told = served.http.get("/manifest.json", headers={**german, "Authorization": f"Bearer {TOKEN}"}).json()
        assert (told["lang"], told["description"]) == ("de", "Avatare, Titelbilder und Transkription")
