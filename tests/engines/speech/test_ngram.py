"""A model's language model in another form: the same words follow each other at the same weights, and Vosk reads it."""

from __future__ import annotations

import itertools
import json
import math
import random
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest
import vosk

from engines.errors import ModelInvalid
from engines.events import ignore
from engines.requests import TranscribeRequest
from engines.speech.audio import open_audio
from engines.speech.ngram import GRAPH, MAGIC, WORTH_WHILE, NotConvertible, convert, convert_in_place, with_fast_graph
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MODEL

SOUND = DATA / "sentence.ogg"
SENTENCE = ("hello", "this", "is", "a", "test", "of", "the", "voice", "message")

Context = tuple[int, ...]
"""Words, the newest last. The empty one is state 0, and those of a `<s>` begin with word 0."""


@dataclass
class Following:
    backoff: float = 0.0
    final: float | None = None
    words: dict[int, float] = field(default_factory=dict)


Model = Mapping[Context, Following]


def bits(values: list[int]) -> bytes:
    whole = values + [0] * (-len(values) % 64)
    return b"".join(
        struct.pack("<Q", sum(bit << place for place, bit in enumerate(whole[at : at + 64])))
        for at in range(0, len(whole), 64)
    )


def ordered(model: Model) -> list[Context]:
    """Level by level, each one's children in the order of their oldest word: as OpenFst numbers them."""
    found: list[Context] = [()]
    for parent in found:
        found += sorted(context for context in model if context and context[1:] == parent)
    assert len(found) == len(model)
    return found


def ngram_file(model: Model, start: Context, symbols: bytes = b"") -> bytes:
    """As OpenFst's NGramFst writes it."""
    contexts = ordered(model)
    tree, following, finals = [1, 0], [0], []
    for context in contexts:
        tree += [1] * sum(bool(other) and other[1:] == context for other in contexts) + [0]
        following += [1] * len(model[context].words) + [0]
        finals.append(int(model[context].final is not None))
    words = [word for context in contexts for word in sorted(model[context].words)]
    weights = [model[context].words[word] for context in contexts for word in sorted(model[context].words)]
    ends = [each for context in contexts if (each := model[context].final) is not None]
    oldest = [-1, *(context[0] for context in contexts[1:]), 0]
    backoffs = [*(model[context].backoff for context in contexts), 0.0]
    weights.append(0.0)
    numbers = (4, 3 if symbols else 0, 0x25A555550001, contexts.index(start), len(contexts), 0)
    return b"".join(
        [
            struct.pack("<i", MAGIC) + struct.pack("<i5si8s", 5, b"ngram", 8, b"standard"),
            struct.pack("<iiQqqq", *numbers) + symbols,
            struct.pack("<QQQ", len(contexts), len(words), len(ends)),
            bits(tree) + bits(following) + bits(finals),
            struct.pack(f"<{len(oldest)}i{len(words)}i", *oldest, *words),
            struct.pack(f"<{len(backoffs)}f{len(ends)}f{len(weights)}f", *backoffs, *ends, *weights),
        ]
    )


Arc = tuple[int, float, int]


def read_const(data: bytes) -> tuple[int, list[tuple[float, list[Arc]]]]:
    """The start, and of each state its final weight and its arcs: word, weight, next state."""
    magic, _, kind, _, arc, version, flags, _, start, states, _ = struct.unpack_from("<ii5si8siiQqqq", data)
    assert (magic, kind, arc, version, flags) == (MAGIC, b"const", b"standard", 2, 0)
    at = struct.calcsize("<ii5si8siiQqqq")
    found = []
    for state in range(states):
        final, first, count, empty_in, empty_out = struct.unpack_from("<fIIII", data, at + 20 * state)
        arcs = [
            struct.unpack_from("<iifi", data, at + 20 * states + 16 * number) for number in range(first, first + count)
        ]
        assert all(came == out for came, out, _, _ in arcs)
        assert [came for came, *_ in arcs] == sorted(came for came, *_ in arcs)
        assert empty_in == empty_out == sum(came == 0 for came, *_ in arcs)
        found.append((final, [(came, weight, after) for came, _, weight, after in arcs]))
    return start, found


def test_each_word_leads_to_the_longest_context_there_is() -> None:
    chance = random.Random(3)
    words = range(1, 12)
    model: dict[Context, Following] = {(): Following(), (0,): Following()}
    for _ in range(120):
        context: Context = ()
        for word in chance.choices(words, k=chance.randint(1, 4)):
            context = (word, *context)  # Each needs the one without its oldest word.
            model.setdefault(context, Following())
    for following in model.values():
        following.backoff = chance.randint(1, 40) / 8
        following.final = chance.choice([None, chance.randint(1, 40) / 8])
        following.words = {word: chance.randint(1, 40) / 8 for word in chance.sample(words, chance.randint(0, 9))}
    contexts = ordered(model)
    start, states = read_const(b"".join(convert(ngram_file(model, (0,)))))
    assert contexts[start] == (0,)
    assert len(states) == len(contexts)
    for context, (final, arcs) in zip(contexts, states, strict=True):
        following = model[context]
        assert final == (math.inf if following.final is None else following.final)
        wanted = {(0, following.backoff, contexts.index(context[1:]))} if context else set()
        for word, weight in following.words.items():
            said = (*context, word)
            after = next(said[at:] for at in range(len(said) + 1) if said[at:] in model)
            wanted.add((word, weight, contexts.index(after)))
        assert set(arcs) == wanted
        assert len(arcs) == len(wanted)


@pytest.mark.parametrize("cut", [0, 3, 40, 90, -9])
def test_what_is_no_such_file_is_not_converted(cut: int) -> None:
    whole = ngram_file({(): Following(1.0, 2.0, {1: 0.5, 2: 0.5}), (1,): Following(0.5, None, {2: 1.0})}, ())
    with pytest.raises(NotConvertible):
        convert(whole[:cut])
    with pytest.raises(NotConvertible):
        convert((MODEL / GRAPH).read_bytes())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model with a language model in the compact form, as large as those that are worth converting."""
    folder = tmp_path_factory.mktemp("ngram") / "model"
    shutil.copytree(MODEL, folder)
    names = (line.split() for line in (MODEL / "graph" / "words.txt").read_text().splitlines())
    words = {name: int(number) for name, number in names}
    known = [number for name, number in words.items() if name.isalpha()]
    said = [words[word] for word in SENTENCE]
    likely = {(one,): Following(2.0, None, {other: 0.7}) for one, other in itertools.pairwise(said)}
    every = Following(0.0, 2.0, dict.fromkeys(known, math.log(len(known))))
    grammar = {(): every, (0,): Following(0.5, None, {said[0]: 0.7}), (said[-1],): Following(0.0, 0.7)} | likely
    (folder / GRAPH).write_bytes(ngram_file(grammar, (0,), 2 * symbol_table("x" * WORTH_WHILE, words)))
    return folder


def symbol_table(name: str, words: Mapping[str, int]) -> bytes:
    """As OpenFst's SymbolTable writes it."""

    def text(of: str) -> bytes:
        return struct.pack("<i", len(of)) + of.encode()

    entries = b"".join(text(word) + struct.pack("<q", number) for word, number in words.items())
    return struct.pack("<i", 2125658996) + text(name) + struct.pack("<qq", len(words), len(words)) + entries


def test_the_folder_to_load_has_the_same_files_but_for_the_graph(model: Path) -> None:
    with with_fast_graph(model) as folder:
        assert folder != model
        for file in model.rglob("*"):
            if file.is_file() and file != model / GRAPH:
                assert (folder / file.relative_to(model)).read_bytes() == file.read_bytes()
        assert (folder / GRAPH).read_bytes()[8:13] == b"const"
    assert not folder.exists()


def test_a_model_that_was_converted_in_place_is_loaded_as_it_is(model: Path, tmp_path: Path) -> None:
    baked = Path(shutil.copytree(model, tmp_path / "baked"))
    convert_in_place(baked)
    assert (baked / GRAPH).read_bytes() == b"".join(convert((model / GRAPH).read_bytes()))
    with with_fast_graph(baked) as folder:
        assert folder == baked


def heard(recogniser: vosk.KaldiRecognizer) -> list[tuple[str, float]]:
    with open_audio(SOUND) as audio:
        recogniser.AcceptWaveform(b"".join(audio.blocks()))
    return [(word["word"], word["start"]) for word in json.loads(recogniser.FinalResult())["result"]]


def test_a_recording_gives_the_words_and_times_that_vosk_hears_with_the_compact_form(model: Path) -> None:
    vosk.SetLogLevel(-1)
    recogniser = vosk.KaldiRecognizer(vosk.Model(model_path=str(model)), 16_000)
    recogniser.SetWords(True)
    wanted = heard(recogniser)
    assert tuple(word for word, _ in wanted) == SENTENCE
    engine = VoskEngine(model, workers=1)
    try:
        transcript = engine.transcribe(TranscribeRequest(), SOUND, ignore, Event())
    finally:
        engine.close()
    assert [word.word for word in transcript.words] == [word for word, _ in wanted]
    assert [word.start for word in transcript.words] == pytest.approx([at for _, at in wanted], abs=0.001)


@contextmanager
def damaged(model: Path, content: bytes) -> Iterator[None]:
    whole = (model / GRAPH).read_bytes()
    (model / GRAPH).write_bytes(content)
    try:
        yield
    finally:
        (model / GRAPH).write_bytes(whole)


def test_a_graph_that_cannot_be_converted_is_left_to_vosk(model: Path) -> None:
    damaged_one = (model / GRAPH).read_bytes()[:-100]
    with damaged(model, damaged_one):
        with with_fast_graph(model) as folder:
            assert folder == model
        engine = VoskEngine(model)
        with pytest.raises(ModelInvalid):
            engine.load()
        engine.close()
