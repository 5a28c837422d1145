"""`python -m app.i18n.update`: brings the catalogs up to what the sources say.

What is new gets an empty translation and is listed; what nobody says any more is dropped. For another language add it
to LANGUAGES and run this.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.i18n.catalogs import FOLDER
from app.i18n.language import ENGLISH, LANGUAGES
from app.presets import KINDS, load_presets
from app.work.showcase import FOLDER as SHOWCASES
from app.work.showcase import load_showcase
from engines.weights.registry import read_registry

ROOT = FOLDER.parent.parent
PRESETS = ROOT / "presets"
MODELS = ROOT / "models" / "registry.toml"
MARKS = {"mark": 1, "say": 1, "say_n": 2}
"""Functions whose first arguments are texts: how many."""

Said = str | tuple[str, str]
"""A text, or its forms for one and for several."""


def texts() -> dict[Said, str]:
    """Everything that the page says, and a file that says it."""
    found: dict[Said, str] = {}
    for said, place in (*_in_sources(), *_in_presets(), *_in_models()):
        found.setdefault(said, place)
    return found


def _in_sources() -> Iterator[tuple[Said, str]]:
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
                given = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                if len(given) >= MARKS[node.func.id]:
                    yield (given[0], given[1]) if MARKS[node.func.id] == 2 else given[0], _name(path)


def _in_presets() -> Iterator[tuple[Said, str]]:
    presets = load_presets(PRESETS)
    for kind in KINDS:
        for preset in presets.of(kind):
            yield from ((text, f"presets/{kind}/{preset.id}.toml") for text in (preset.name, preset.description))
    for path in sorted((PRESETS / SHOWCASES).glob("*.toml")):
        showcase = load_showcase([PRESETS], path.stem, presets)
        for shown in map(showcase.of, KINDS):
            for text in (shown.otherwise, *(example.prompt for example in shown.examples)):
                if text:
                    yield text, _name(path)


def _in_models() -> Iterator[tuple[Said, str]]:
    """Labels of the models that the page names by itself. Those that publishers list have names and no more."""
    registry = read_registry(MODELS)
    for model in registry.models:
        if model.kind in ("image", "speech", "portrait") and model.name not in registry.public:
            yield model.label, _name(MODELS)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def update(code: str) -> list[Said]:
    """Rewrite the catalog of a language. What it lacks."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import read_po, write_po

    path = FOLDER / f"{code}.po"
    template = Catalog(project="Carrot Studio")
    for said, place in texts().items():
        template.add(said, locations=[(place, 0)])
    catalog = Catalog(locale=code, project="Carrot Studio", fuzzy=False)
    if path.exists():
        with path.open("rb") as file:
            catalog = read_po(file, locale=code)
    catalog.update(template, no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    catalog.header_comment = f"# The page's texts in {LANGUAGES[code]}. Kept by app.i18n.update."
    catalog.version = catalog.msgid_bugs_address = catalog.last_translator = catalog.language_team = ""
    with path.open("wb") as file:
        write_po(file, catalog, width=120, include_lineno=False)
    return [said for said in texts() if not _is_complete(catalog[said].string)]


def _is_complete(string: str | Sequence[str] | None) -> bool:
    return string is not None and len(string) > 0 and all(string)


def main() -> None:
    """Update all of them. Exits with what is missing, if anything is."""
    missing = [f"{code}: {said}" for code in LANGUAGES if code != ENGLISH for said in update(code)]
    sys.exit("\n".join(missing) or None)


if __name__ == "__main__":
    main()
