"""The catalogs: nothing missing, nothing obsolete, the same places, and the sentences that come from below."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from app.i18n.catalogs import FOLDER, PLACE, catalog
from app.i18n.language import ENGLISH, LANGUAGES, speaking
from app.i18n.sentences import SENTENCES
from app.i18n.texts import built, finished, in_language, say, say_n
from app.i18n.update import Said, texts
from engines.errors import InvalidRequest
from engines.limits import check_image
from engines.requests import ImageRequest, parse
from tests.conftest import ROOT
from tests.small_engines import BlobEngine

OTHERS = [code for code in LANGUAGES if code != ENGLISH]


def stored(code: str) -> dict[Said, tuple[str, ...]]:
    """The catalog's texts, each with its forms."""
    with (FOLDER / f"{code}.po").open("rb") as file:
        messages: Catalog = read_po(file, locale=code)
    found: dict[Said, tuple[str, ...]] = {}
    for message in messages:
        if message.id:
            said: Said = message.id if isinstance(message.id, str) else (message.id[0], message.id[1])
            found[said] = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
    return found


@pytest.fixture(scope="module")
def english() -> set[Said]:
    return set(texts())


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalog_has_every_text_and_no_other(code: str, english: set[Said]) -> None:
    """What is missing or obsolete: `python -m app.i18n.update` lists the one and drops the other."""
    found = stored(code)
    assert found.keys() == english
    assert [said for said, forms in found.items() if not all(form.strip() for form in forms)] == []


@pytest.mark.parametrize("code", OTHERS)
def test_translations_have_the_places_of_their_texts(code: str) -> None:
    for said, forms in stored(code).items():
        english = said if isinstance(said, str) else said[1]
        for form in forms:
            assert sorted(set(PLACE.findall(form))) == sorted(set(PLACE.findall(english))), (english, form)


@pytest.mark.parametrize("code", OTHERS)
def test_translations_can_stand_in_the_page(code: str) -> None:
    """They go into HTML and its attributes: no tags and no straight quotation marks, but in what is escaped."""
    for said, forms in stored(code).items():
        for form in forms:
            assert "<" not in form or said in SENTENCES
            assert '"' not in form or said in SENTENCES
    french = [form for forms in stored("fr").values() for form in forms]
    assert [form for form in french if re.search(r" [;:!?»%]|« |(?<![\s\u00a0\u202f:])[;!?](?!\S)", form)] == []


def test_texts_are_said_in_the_language_at_hand() -> None:
    waiting = [say_n("Waiting: {n} job ahead", "Waiting: {n} jobs ahead", n) for n in (1, 3)]
    button = built(lambda: f"<b>{say('Generate')}</b>")
    assert waiting == ["Waiting: 1 job ahead", "Waiting: 3 jobs ahead"]
    with speaking("de"):
        assert in_language({"texts": waiting, "more": [(button, 7)]}) == {
            "texts": ["Wartet: 1 Auftrag davor", "Wartet: 3 Aufträge davor"],
            "more": [("<b>Generieren</b>", 7)],
        }
        assert say("a text of a person's own") == "a text of a person's own"
    assert button == "<b>Generate</b>"


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Deleted.", "Gelöscht."),
        (
            "3 image jobs are waiting already. Try again in a moment.",
            "Es warten schon 3 Bildaufträge. Bitte gleich noch einmal versuchen.",
        ),
        # Several, one of which has another within, after one that nobody knows.
        (
            "Something else. Parts of the file are missing or damaged; this is the text of the rest. "
            "Demo speech model: about 140 English words, trained on synthetic speech only. "
            "Use a full Vosk model for real speech.",
            "Something else. Teile der Datei fehlen oder sind beschädigt; dies ist der Text des Rests. "
            "Demo-Sprachmodell: etwa 140 englische Wörter, nur mit künstlicher Sprache trainiert. "
            "Für echte Sprache ein vollständiges Vosk-Modell verwenden.",
        ),
        (
            "Only 0.25 s of the file's sound can be decoded: send the whole recording.",
            "Nur 0,25 s des Tons sind lesbar: Bitte die ganze Aufnahme senden.",
        ),
        (
            "given up after 12 tries: the receiver answered 503",
            "nach 12 Versuchen aufgegeben: der Empfänger hat mit 503 geantwortet",
        ),
        ("Nobody translates this {sentence}.", "Nobody translates this {sentence}."),
    ],
)  # fmt: skip
def test_finished_sentences_are_known_by_their_english(english: str, german: str) -> None:
    with speaking("de"):
        assert finished(english) == german
    assert finished(english) == english


@pytest.mark.parametrize(
    ("values", "french"),
    [
        ({"prompt": " "}, "Prompt vide : dites en quelques mots ce que l’image doit montrer."),
        ({"prompt": "x" * 4001}, "Prompt compte 4001 caractères : raccourcissez à 4000 au plus."),
        ({"width": 100}, "Largeur vaut 100 : indiquez un multiple de 8 entre 64 et 2048, p. ex. 96 ou 104."),
        ({"guidance_scale": "much"}, "Guidage vaut 'much' : indiquez un nombre de 1 à 30."),
        ({"width": 4096}, "Largeur vaut 4096 : indiquez un multiple de 8 entre 64 et 2048."),
        ({"prompt": "a\0b"}, "Prompt contient un caractère nul à la position 1 : retirez-le."),
    ],
)
def test_what_is_refused_is_said_in_the_language(values: dict[str, object], french: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(ImageRequest, {"prompt": "x", "seed": 0, **values}, titled=True)
    with speaking("fr"):
        said = finished(str(refused.value))
    assert said.replace("\u00a0", " ").replace("\u202f", " ") == french


# What is raised where a person at the page may cause it.
RAISE = ("app/microphone.py", "app/work/*.py", "app/jobs/*.py", "app/ui/*.py", "engines/*.py", "engines/sdxl/photo*.py",
         "engines/sdxl/prompt.py", "engines/sdxl/generate.py", "engines/speech/*.py")  # fmt: skip
OTHERS_ARE_FOR_PROGRAMS = {
    "app/work/showcase.py", "app/work/request.py", "app/ui/gate.py", "app/ui/endpoints.py", "app/ui/assets.py",
    "engines/child.py", "engines/devices.py", "engines/requests.py", "engines/picture_parts.py",
    "engines/sdxl/photo_file.py",
    "engines/speech/model.py", "engines/speech/service_auth.py", "engines/speech/cloud_client.py",
}  # fmt: skip
"""Starts of the program, named endpoints, errors that are caught below; what `parse` refuses is tested above."""
ERRORS = (
    "super().__init__",
    "Unused",
    "Invalid",
    "Storage",
    "QueueFull",
    "EngineCrashed",
    "OutOfMemory",
    "ServiceUnavailable",
    "ModelMissing",
    "MicrophoneLost",
)
FOR_PROGRAMS = (
    "opened at /v1/vosk", "fetched could not", "cannot be made", "came as a file and as an address", "no job of yours",
    "is missing: /", "has no parameter", "were sent.", "sampler is", "Idempotency-Key", "read it at /jobs/",
    "background is ",
)  # fmt: skip
"""Parts of sentences about what only programs send, and about how the studio was set up."""
ONE_FOR_EACH_VALUE = ("x x jobs are waiting", "x may send x jobs a x")
"""Parts of those that have a sentence in the catalogs for each of their values."""


def raised() -> Iterator[tuple[str, str]]:
    """Places, and sentences with `x` for each value."""
    for pattern in RAISE:
        for path in sorted(ROOT.glob(pattern)):
            place = path.relative_to(ROOT).as_posix()
            if place in OTHERS_ARE_FOR_PROGRAMS:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(ERRORS):
                    yield from ((place, text) for text in map(_text, node.args) if " " in text)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
    return ""


def test_no_sentence_that_the_page_may_show_is_without_its_translation() -> None:
    """Each that is raised, with some values in it, is recognised."""
    known = catalog("de")
    unknown = [
        (place, text)
        for place, text in raised()
        if known.finished(text) == text and not any(part in text for part in (*FOR_PROGRAMS, *ONE_FOR_EACH_VALUE))
    ]
    assert unknown == []


def test_a_size_that_the_model_cannot_do_is_said_in_the_language() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_image(
            ImageRequest(prompt="x", seed=0, width=2048, height=2048), replace(BlobEngine().info, max_pixels=1000)
        )
    with speaking("es"):
        assert finished(str(refused.value)).startswith("2048 × 2048 son 4.194.304 píxeles: blob en cpu")


def test_english_needs_no_catalog() -> None:
    program = (
        "import sys; from app.i18n.texts import finished, say; say('Go'); finished('x'); print('babel' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
