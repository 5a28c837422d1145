"""A vocabulary with the real demo model: what is heard with it, what is refused, where its words are looked up."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from engines.errors import InvalidRequest, ModelInvalid
from engines.requests import MAX_VOCABULARY, ListenRequest, TranscribeRequest, parse
from engines.results import Unused
from engines.speech.vocabulary import UNKNOWN_WORDS, grammar
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.listening import pcm
from tests.engines.speech.media import DATA, MODEL


def heard(engine: VoskEngine, *phrases: str) -> str:
    request = TranscribeRequest(vocabulary=phrases)
    return engine.transcribe(request, DATA / "digits.wav", lambda _: None, Event()).text


def test_only_the_vocabulary_is_listened_for(engine: VoskEngine, texts: dict[str, str]) -> None:
    assert heard(engine) == texts["digits.wav"]
    limited = heard(engine, "three", "Seven eight", "carrot").split()
    # The small model takes some of the other words for these, and none of them for itself.
    assert set(limited) == {"three", "seven", "eight"}
    assert limited[-2:] == ["seven", "eight"]
    # Of another request's vocabulary nothing is left.
    assert heard(engine) == texts["digits.wav"]


def test_a_live_session_listens_for_it_too(engine: VoskEngine) -> None:
    sound = pcm("digits.wav", 16_000)
    with closing(engine.listen(ListenRequest(sample_rate=16_000, vocabulary=("two", "nine")), Event())) as session:
        told = [session.accept(sound), session.flush()]
    assert {word for one in told for segment in one.segments for word in segment.text.split()} == {"two", "nine"}


def test_what_the_model_does_not_know_is_said(engine: VoskEngine) -> None:
    unknown = [f"xyz{number}" for number in range(7)]
    (unused,) = engine.check(TranscribeRequest(vocabulary=("hello", "hello xyz0", *unknown, "[noise]", "<eps>")))
    assert unused.field == "vocabulary"
    assert "'xyz0', 'xyz1', 'xyz2', 'xyz3', 'xyz4' and 4 more" in unused.message
    with pytest.raises(InvalidRequest, match=r"knows none .*'blorb'") as caught:
        engine.check(TranscribeRequest(vocabulary=("blorb", "hello blorb")))
    assert caught.value.field == "vocabulary"
    with pytest.raises(InvalidRequest, match="no word"):
        engine.check(TranscribeRequest(vocabulary=("[unk]",)))


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        (["hello", 5], "vocabulary.1 is 5: send text"),
        ([" "], "vocabulary.0 is empty: write at least one word."),
        (["x" * 101], "vocabulary.0 has 101 characters: shorten it to 100 or fewer."),
        (["x"] * (MAX_VOCABULARY + 1), "vocabulary has 501 entries: send 500 or fewer."),
        ("hello", "vocabulary is 'hello': send a list."),
        (["a\0b"], "vocabulary.0 has a null character"),
    ],
)
def test_what_is_no_vocabulary_is_refused_before_native_code(vocabulary: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(TranscribeRequest, {"vocabulary": vocabulary})
    assert str(caught.value).startswith(message)


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(MODEL, folder / "model"))


def test_a_fixed_graph_takes_none(tmp_path: Path) -> None:
    model = copied(tmp_path)
    (model / "graph" / "HCLr.fst").rename(model / "graph" / "HCLG.fst")
    engine = VoskEngine(model)
    assert engine.check(TranscribeRequest()) == ()
    with pytest.raises(InvalidRequest, match="takes no vocabulary") as caught:
        engine.check(TranscribeRequest(vocabulary=("hello",)))
    assert str(tmp_path) not in str(caught.value)


def table(words: Sequence[str]) -> bytes:
    """OpenFst's table of symbols."""

    def text(value: str) -> bytes:
        return struct.pack("<i", len(value.encode())) + value.encode()

    entries = b"".join(text(word) + struct.pack("<q", number) for number, word in enumerate(words))
    return struct.pack("<i", 2125658996) + text("words") + struct.pack("<qq", len(words), len(words)) + entries


def with_words_inside(model: Path, words: Sequence[str], flags: int) -> None:
    """Put the words into Gr.fst, as the public small models have them, and take words.txt away."""
    graph = model / "graph" / "Gr.fst"
    data = graph.read_bytes()
    at = 4 + 4 + len("const") + 4 + len("standard") + 4
    tables = (table(["<eps>", "other"]) if flags & 1 else b"") + (table(words) if flags & 2 else b"")
    graph.write_bytes(data[:at] + struct.pack("<i", flags) + data[at + 4 : at + 36] + tables + data[at + 36 :])


@pytest.mark.parametrize("flags", [2, 3])
def test_words_inside_of_the_graph_are_found_as_vosk_finds_them(tmp_path: Path, flags: int) -> None:
    model = copied(tmp_path)
    words = [line.split()[0] for line in (model / "graph" / "words.txt").read_text().splitlines()]
    with_words_inside(model, words, flags)
    (model / "graph" / "words.txt").unlink()
    engine = VoskEngine(model, workers=1)
    assert engine.check(TranscribeRequest(vocabulary=("seven", "other"))) == (
        Unused("vocabulary", "The speech model does not know 'other': it does not listen for phrases with that."),
    )
    # Vosk itself reads the graph: so the table is as OpenFst has it.
    assert set(heard(engine, "seven", "other").split()) == {"seven"}
    engine.close()


def test_a_graph_that_cannot_be_read_is_the_models_fault(tmp_path: Path) -> None:
    model = copied(tmp_path)
    (model / "graph" / "Gr.fst").write_bytes(b"\xd6\xfd\xb2~\x05")
    with pytest.raises(ModelInvalid) as caught:
        VoskEngine(model).check(TranscribeRequest(vocabulary=("hello",)))
    assert str(tmp_path) not in str(caught.value)


def test_the_mark_for_all_else_is_listened_for_once(engine: VoskEngine) -> None:
    phrases, unused = grammar(MODEL, engine.info, ("Hello", "hello", "[unk]", "test [unk]"))
    assert phrases == ["hello", "test", "[unk]"]
    assert unused == ()
    assert "[unk]" in UNKNOWN_WORDS
