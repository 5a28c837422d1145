"""`python3 launch.py models`: what models are here, get one, remove what is left over."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.disk import size_words
from engines.errors import ModelMissing, StudioError
from engines.events import Progress
from engines.languages import bcp47, primary
from engines.speech.model import check_usable
from engines.weights.registry import read_registry
from engines.weights.store import Installed, ModelStore, State

REGISTRY = Path(__file__).resolve().parents[2] / "models" / "registry.toml"

DONE, FAILED, MISUSED = 0, 1, 2
"""Exit codes."""

_BAR_CELLS = 30
_REDRAW_SECONDS = 0.1
_LINE_EVERY = 0.1
"""Without a terminal: one line for every tenth of a stage."""


def main(argv: Sequence[str], models_dir: Path, store: ModelStore | None = None) -> int:
    """Run one command on `models_dir`. `store` replaces the one over the project's registry."""
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or has shown the help
        return MISUSED if stop.code else DONE
    try:
        store = store or ModelStore(models_dir, read_registry(REGISTRY))
        if options.command == "pull":
            return _pull(store, options.name) if options.name else _offer(store, store.list())
        if options.command == "prune":
            return _prune(store, also_by_hand=options.all)
        language = getattr(options, "language", "")  # also listed without the word
        return _list_language(store, language) if language else _list(store)
    except StudioError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{models_dir} cannot be used: {error}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py models", description="Models on this machine.")
    commands = parser.add_subparsers(dest="command")
    listing = commands.add_parser("list", help="what is here, how large, verified (also without the word)")
    listing.add_argument("--language", default="", help="every model of a language, here or not: de, German, en-IN")
    pull = commands.add_parser("pull", help="fetch a model, check it and unpack it; goes on after an interruption")
    pull.add_argument(
        "name",
        nargs="?",
        default="",
        help="without one, all are listed; also a Hugging Face owner/name of an SDXL model",
    )
    prune = commands.add_parser("prune", help="remove interrupted downloads and models that are no longer known")
    prune.add_argument("--all", action="store_true", help="also folders that were put here by hand")
    return parser


def _list(store: ModelStore) -> int:
    """What is here; of the many public speech models that are not, how to see them."""
    rows = [("NAME", "SIZE", "STATE", "PATH")]
    absent = 0
    for model in store.list():
        here = model.state is not State.MISSING
        if not here and model.name in store.registry.public:
            absent += 1
            continue
        rows.append((model.name, size_words(model.bytes) if here else "-", model.state, str(model.path)))
    _print_table(rows)
    if absent:
        print(f"{absent} more speech models can be fetched: models list --language de, or models pull to see them all.")
    return DONE


def _list_language(store: ModelStore, language: str) -> int:
    """Every model of a language, of whichever region."""
    wanted = primary(bcp47(language))
    found = [model for model in store.list() if wanted and primary(model.language) == wanted]
    if found:
        return _offer(store, found)
    known = sorted({primary(model.language) for model in store.registry.models} - {""})
    return _fail(f"There is no model for {language[:40]!r}. There are some for: {', '.join(known)}.", MISUSED)


def _offer(store: ModelStore, models: Iterable[Installed]) -> int:
    """What can be fetched, or is here: size of the download, or of the folder; language; licence."""
    rows = [("NAME", "LANGUAGE", "SIZE", "LICENCE", "STATE", "WHAT IT IS")]
    for model in models:
        size = model.bytes or model.download_bytes
        rows.append(
            (
                model.name,
                model.language or "-",
                size_words(size) if size else "-",
                model.licence or "-",
                model.state,
                model.label,
            )
        )
    _print_table(rows)
    print(f"They go to {store.models_dir}: python3 launch.py models pull NAME.")
    return DONE


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell, the size to the right; the last as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    right = rows[0].index("SIZE")
    for row in rows:
        cells = [
            f"{cell:>{width}}" if column == right else f"{cell:<{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        print("  ".join((*cells, row[-1])))


def _pull(store: ModelStore, name: str) -> int:
    try:
        model = store.registry.find(name)
    except ModelMissing as error:
        return _fail(str(error), MISUSED)
    if model.source is None:
        print(f"{name} is built in: there is nothing to fetch.")
        return DONE
    for wanted in store.registry.with_needs(name):
        stopped = _pull_one(store, wanted)
        if stopped:
            return stopped
    return DONE


def _pull_one(store: ModelStore, name: str) -> int:
    show = _Show(name, terminal=sys.stdout.isatty())
    try:
        folder = store.pull(
            name, show.progress, on_wait=lambda: show.line(f"{name} is being fetched already; waiting.")
        )
    except KeyboardInterrupt:
        show.end()
        return _fail("Stopped. The same command goes on from here.")
    finally:
        show.end()
    model = store.registry.find(name)
    print(f"{name} is in {folder} ({model.licence}).")
    if model.kind == "speech":
        try:
            check_usable(folder)
        except ModelMissing as error:
            print(error)
    return DONE


def _prune(store: ModelStore, *, also_by_hand: bool) -> int:
    freed = 0
    for leftover in store.leftovers(also_by_hand=also_by_hand):
        store.remove(leftover)
        freed += leftover.bytes
        print(f"Removed {leftover.path} ({size_words(leftover.bytes)}): {leftover.what}.")
    print(f"Freed {size_words(freed)}." if freed else "Nothing to remove.")
    if not also_by_hand:
        for kept in store.leftovers(also_by_hand=True):
            print(f"Kept {kept.path} ({size_words(kept.bytes)}): {kept.what}. `models prune --all` removes it too.")
    return DONE


class _Show:
    """Progress for a person: a bar that redraws itself on a terminal, a line now and then elsewhere."""

    def __init__(self, name: str, *, terminal: bool) -> None:
        self._name = name
        self._terminal = terminal
        self._stage = ""
        self._next_fraction = 0.0
        self._drawn = 0.0
        self._open = False

    def progress(self, now: Progress) -> None:
        if now.stage != self._stage:
            self._stage, self._next_fraction = now.stage, 0.0
            self._drawn = 0.0
        if self._terminal:
            self._draw(now)
        elif now.fraction >= self._next_fraction:
            self._next_fraction = now.fraction - now.fraction % _LINE_EVERY + _LINE_EVERY
            print(f"{self._name}: {_of(now)}", flush=True)

    def line(self, text: str) -> None:
        self.end()
        print(text, flush=True)

    def end(self) -> None:
        """Leave the bar's line."""
        if self._open:
            print()
        self._open = False

    def _draw(self, now: Progress) -> None:
        if time.monotonic() - self._drawn < _REDRAW_SECONDS and now.step < now.total:
            return
        self._drawn, self._open = time.monotonic(), True
        filled = round(now.fraction * _BAR_CELLS)
        bar = "█" * filled + "░" * (_BAR_CELLS - filled)
        print(f"\r{self._name} {bar} {_of(now):<34}", end="", flush=True)


def _of(now: Progress) -> str:
    return f"{now.stage} {now.fraction:4.0%} of {size_words(now.total)}"


def _fail(text: str, code: int = FAILED) -> int:
    print(text, file=sys.stderr)
    return code
