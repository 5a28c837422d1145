"""A vocabulary for a Vosk model: which of a caller's phrases it can listen for, and how its recogniser is told.

Vosk builds a small bigram of the phrases and puts it in place of the model's own language model, which works for models
with a graph in two parts (HCLr.fst and Gr.fst; one HCLG.fst is fixed). Its native code says on standard error what it
passes over, and crashes on what it cannot parse: so all of that is looked at here before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from engines.errors import InvalidRequest, ModelInvalid
from engines.results import SpeechModelInfo, Unused
from engines.speech.marks import is_mark

DYNAMIC = (("graph/HCLr.fst", "graph/Gr.fst"), ("HCLr.fst", "Gr.fst"))
WORDS = ("graph/words.txt", "words.txt")

UNKNOWN_WORDS = ("[unk]", "<unk>", "<UNK>")
"""What models call a sound that is none of their words. With it in the vocabulary, other words are heard as that and
left out; without, they would be forced into the vocabulary's."""

SHOWN = 5
"""Unknown words that a message repeats."""

FST_MAGIC, SYMBOLS_MAGIC = 2125659606, 2125658996
HAS_INPUT_SYMBOLS, HAS_OUTPUT_SYMBOLS = 1, 2
"""OpenFst, fst/fst.h (FstHeader) and symbol-table.cc, as of version 1.8."""


def grammar(folder: Path, info: SpeechModelInfo, phrases: Sequence[str]) -> tuple[list[str], tuple[Unused, ...]]:
    """What the recogniser is to be told, and what of the phrases will not be used. Nothing for no phrases.

    Raises InvalidRequest for a model with a fixed graph, and where no phrase is left; ModelInvalid for a graph that
    cannot be read.
    """
    if not phrases:
        return [], ()
    graph = next((folder / gr for hclr, gr in DYNAMIC if (folder / hclr).is_file() and (folder / gr).is_file()), None)
    if graph is None:
        raise InvalidRequest(
            "vocabulary",
            f"The loaded speech model ({info.name}) takes no vocabulary, because its graph of words is fixed. Leave "
            "vocabulary out, or use a small model or one with lgraph in its name: `python3 launch.py models pull` "
            "lists them.",
        )
    wanted = {form for phrase in phrases for word in phrase.split() for form in (word, word.lower())}
    known = _known(folder, graph, info, wanted | set(UNKNOWN_WORDS))
    used: list[str] = []
    unknown: list[str] = []
    for phrase in phrases:
        # Models mostly write in lower case; people write names as names.
        words = [word if word in known else word.lower() for word in phrase.split() if word not in UNKNOWN_WORDS]
        missing = [word for word in words if word not in known or is_mark(word)]
        unknown += missing
        if words and not missing:
            used.append(" ".join(words))
    if not used:
        raise InvalidRequest(
            "vocabulary",
            f"The loaded speech model ({info.name}) knows none of these phrases whole ({_listed(unknown)}): send words "
            "that it knows, or leave vocabulary out. What a model cannot spell, corrections can.",
        )
    told = f"The speech model does not know {_listed(unknown)}: it does not listen for phrases with that."
    unused = (Unused("vocabulary", told),) if unknown else ()
    return [*dict.fromkeys(used), *(word for word in UNKNOWN_WORDS if word in known)], unused


def _listed(words: Sequence[str]) -> str:
    several = [*dict.fromkeys(words)]
    shown = ", ".join(repr(word[:40]) for word in several[:SHOWN])
    return f"{shown} and {len(several) - SHOWN} more" if len(several) > SHOWN else shown or "no word"


def _known(folder: Path, graph: Path, info: SpeechModelInfo, wanted: set[str]) -> set[str]:
    """Those of the words that the model has. It may have 200,000, of which none is kept."""
    try:
        # In Vosk's own order: symbols inside of the graph come before those of the text file.
        with graph.open("rb") as file:
            if _at_output_symbols(file):
                return wanted.intersection(_symbols(file))
        path = next(folder / name for name in WORDS if (folder / name).is_file())
        with path.open(encoding="utf-8", errors="replace") as lines:
            return wanted.intersection(line.split(maxsplit=1)[0] for line in lines if line.strip())
    except (OSError, StopIteration, struct.error) as error:
        raise ModelInvalid(f"The words of the speech model {info.name} cannot be read: fetch it again.") from error


def _at_output_symbols(file: IO[bytes]) -> bool:
    """Whether the graph has a table of words; the file is at its beginning then."""
    if _number(file, "<i") != FST_MAGIC:
        raise struct.error("no OpenFst file")
    _text(file)  # kind of machine
    _text(file)  # kind of arcs
    _, flags, *_ = struct.unpack("<iiQqqq", file.read(40))
    if flags & HAS_OUTPUT_SYMBOLS and flags & HAS_INPUT_SYMBOLS:
        for _ in _symbols(file):
            pass
    return bool(flags & HAS_OUTPUT_SYMBOLS)


def _symbols(file: IO[bytes]) -> Iterator[str]:
    if _number(file, "<i") != SYMBOLS_MAGIC:
        raise struct.error("no table of symbols")
    _text(file)  # its name
    _, size = struct.unpack("<qq", file.read(16))
    for _ in range(size):
        yield _text(file)
        file.seek(8, 1)


def _text(file: IO[bytes]) -> str:
    return file.read(_number(file, "<i")).decode(errors="replace")


def _number(file: IO[bytes], form: str) -> int:
    (number,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return int(number)
