"""Who speaks when: with a small speaker model by Vosk itself, and the grouping on vectors of many voices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from engines.errors import ModelInvalid, ModelMissing
from engines.requests import TranscribeRequest
from engines.results import Segment, Transcript
from engines.speech.captions import to_srt, to_tsv, to_vtt
from engines.speech.paragraphs import paragraphs
from engines.speech.speakers import Voice, tell_apart
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MODEL
from tests.engines.speech.speaker_model import write_speaker_model
from tests.engines.speech.transcripts import evenly, transcript

ASKED = TranscribeRequest(speakers=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoskEngine]:
    folder = write_speaker_model(tmp_path_factory.mktemp("models") / "speakers")
    engine = VoskEngine(MODEL, workers=2, speaker_folder=folder)
    yield engine
    engine.close()


def transcribed(engine: VoskEngine, request: TranscribeRequest) -> Transcript:
    return engine.transcribe(request, DATA / "turns.ogg", lambda _: None, Event())


def test_two_voices_are_told_apart_in_a_recording(engine: VoskEngine, texts: dict[str, str]) -> None:
    found = transcribed(engine, ASKED)
    assert found.text == texts["turns.ogg"]
    assert [segment.speaker for segment in found.segments] == ["A", "B"] * 3
    plain = transcribed(engine, TranscribeRequest())
    assert [segment.speaker for segment in plain.segments] == [None] * 6
    # Nothing else is another: neither words nor times.
    assert [segment.words for segment in plain.segments] == [segment.words for segment in found.segments]
    assert "speaker" not in plain.segments[0].model_dump()


def test_without_a_model_the_way_to_one_is_told(tmp_path: Path) -> None:
    missing = VoskEngine(MODEL, speaker_folder=tmp_path / "none")
    for engine in (missing, VoskEngine(MODEL)):
        with pytest.raises(ModelMissing, match="models pull speakers"):
            engine.check(ASKED)
    folder = write_speaker_model(tmp_path / "none")
    # It may come while the engine runs.
    missing.check(ASKED)
    (folder / "mean.vec").unlink()
    with pytest.raises(ModelInvalid) as caught:
        missing.check(ASKED)
    assert str(tmp_path) not in str(caught.value)


def many(seed: int, speakers: int, each: int, spread: float) -> tuple[list[Voice], list[int]]:
    """Vectors around so many random centres, in random order, and whose they are."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(speakers, 128))
    whose = [int(one) for one in chance.permutation(np.repeat(np.arange(speakers), each))]
    vectors = centres[whose] + spread * chance.normal(size=(len(whose), 128))
    return [Voice(tuple(vector), 300) for vector in vectors.tolist()], whose


@pytest.mark.parametrize(("speakers", "each"), [(1, 1), (1, 40), (2, 30), (5, 12), (30, 3)])
def test_as_many_groups_as_voices(speakers: int, each: int) -> None:
    voices, whose = many(speakers, speakers, each, spread=0.7)
    letters = tell_apart(voices)
    assert len(set(letters)) == speakers
    assert len(set(zip(letters, whose, strict=True))) == speakers
    assert letters[0] == "A"


def test_the_letters_come_in_order_of_speech_and_go_on_after_z() -> None:
    voices, _ = many(7, 28, 1, spread=0.0)
    assert tell_apart(voices) == [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "AA", "AB"]


def test_a_short_utterance_founds_no_group_and_none_is_guessed_without_a_voice() -> None:
    (first, second), _ = many(3, 2, 1, spread=0.0)
    rough = Voice(tuple(0.6 * a + 0.4 * b for a, b in zip(first.vector, second.vector, strict=True)), 60)
    stranger = Voice(tuple(-value for value in first.vector), 60)
    assert tell_apart([first, rough, None, second, stranger]) == ["A", "A", None, "B", "B"]
    assert tell_apart([None, None]) == [None, None]
    assert tell_apart([]) == []
    assert tell_apart([rough, stranger]) == ["A", "B"]


def test_grouping_is_average_linkage() -> None:
    """Against the definition, computed the slow way."""
    voices, _ = many(11, 6, 7, spread=1.6)
    vectors = np.array([voice.vector for voice in voices])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - vectors @ vectors.T
    groups = [[number] for number in range(len(voices))]
    while True:
        pairs = [(distances[np.ix_(a, b)].mean(), i, j) for i, a in enumerate(groups) for j, b in enumerate(groups[:i])]
        nearest, i, j = min(pairs)
        if nearest > 0.6:
            break
        groups[j] += groups.pop(i)
    letters = tell_apart(voices)
    assert sorted(map(sorted, groups)) == sorted(
        [number for number, letter in enumerate(letters) if letter == one] for one in set(letters)
    )
    assert len(groups) > 2


def test_turns_are_paragraphs_and_named_in_captions() -> None:
    def said(text: str, start: float, speaker: str | None) -> Segment:
        return evenly(text, start).model_copy(update={"speaker": speaker})

    told = transcript(said("one two", 0, "A"), said("three", 0.9, None), said("four", 1.4, "B"), said("five", 2, "B"))
    assert [(part.speaker, part.text) for part in paragraphs(told.segments)] == [
        ("A", "one two three"),
        ("B", "four five"),
    ]
    assert [line for line in to_srt(told).splitlines() if line.isprintable() and "-->" not in line] == [
        "1", "A: one two three", "", "2", "B: four five",
    ]  # fmt: skip
    assert "\n<v B>four five\n" in to_vtt(told)
    assert "A" not in to_tsv(told)
