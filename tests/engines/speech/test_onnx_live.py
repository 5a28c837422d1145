"""When the open utterance of a live session is heard again, when it ends, and what that costs at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pytest

from engines.speech.onnx_live import Listener
from engines.speech.pieces import SAMPLE_RATE
from engines.speech.utterances import Token

WORD = 0.2
"""Seconds of a word."""
HUM = 7000
"""The level of a sound that is loud and no word."""


@dataclass
class Model:
    """Hears samples of 10,001 as " w1", of 10,002 as " w2" and so on. Each second of sound takes `slow` seconds."""

    slow: float = 0.01
    now: float = 0.0
    heard: list[float] = field(default_factory=list)

    def hear(self, sound: bytes) -> Sequence[Token]:
        samples = np.frombuffer(sound, np.int16)
        self.heard.append(len(samples) / SAMPLE_RATE)
        self.now += self.slow * self.heard[-1]
        tokens, at = [], 0
        for value, run in groupby(samples.tolist()):
            length = sum(1 for _ in run)
            if value > 10_000 and length > 0.05 * SAMPLE_RATE:
                tokens.append(Token(f" w{value - 10_000}", at / SAMPLE_RATE, -0.1))
            at += length
        return tokens

    @property
    def listener(self) -> Listener:
        return Listener(self.hear, lambda: self.now)


def sound(*parts: tuple[float, int]) -> bytes:
    return b"".join(np.full(round(seconds * SAMPLE_RATE), level, np.int16).tobytes() for seconds, level in parts)


def words(first: int, last: int, gap: float = 0.1, level: int = 40) -> list[tuple[float, int]]:
    return [part for number in range(first, last + 1) for part in ((WORD, 10_000 + number), (gap, level))]


@dataclass
class Session:
    listener: Listener
    texts: list[str] = field(default_factory=list)
    partials: list[str] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def say(self, data: bytes, seconds: float = 0.1) -> None:
        size = round(seconds * SAMPLE_RATE) * 2
        for at in range(0, len(data), size):
            self._took(self.listener.accept(data[at : at + size]))

    def flush(self) -> None:
        self._took(self.listener.flush())

    def _took(self, ended: list[list[dict[str, object]]]) -> None:
        for one in ended:
            self.texts.append(" ".join(str(word["word"]) for word in one))
            self.starts.append(float(str(one[0]["start"])))
        self.partials.append(self.listener.partial)


def test_an_utterance_grows_and_ends_at_a_pause() -> None:
    session = Session(Model().listener)
    session.say(sound((1.0, 40), *words(1, 6), (0.7, 40), *words(7, 8), (0.7, 40)))
    assert session.texts == ["w1 w2 w3 w4 w5 w6", "w7 w8"]
    assert session.starts == pytest.approx([1.0, 3.5])
    grown = [text for text, _ in groupby(session.partials) if text]
    assert len(grown) >= 3
    assert all("w1 w2 w3 w4 w5 w6".startswith(text) for text in grown if text.startswith("w1"))
    assert session.partials[-1] == ""


def test_much_sound_at_once_is_cut_as_if_it_had_come_slowly() -> None:
    data = sound((1.0, 40), *words(1, 6), (0.7, 40), *words(7, 8), (0.7, 40))
    slowly, at_once = Session(Model().listener), Session(Model().listener)
    slowly.say(data)
    at_once.say(data, seconds=60)
    assert slowly.texts == at_once.texts
    assert slowly.starts == pytest.approx(at_once.starts)


def test_flush_settles_what_is_open_and_more_may_follow() -> None:
    session = Session(Model().listener)
    session.say(sound(*words(1, 2)))
    session.flush()
    session.flush()
    session.say(sound(*words(3, 4)))
    session.flush()
    assert session.texts == ["w1 w2", "w3 w4"]
    assert session.starts == pytest.approx([0.0, 0.6])


def test_silence_costs_nothing() -> None:
    model = Model()
    Session(model.listener).say(sound((60.0, 30)))
    assert model.heard == []


def test_a_noise_that_goes_on_ends_an_utterance_by_its_missing_words() -> None:
    model = Model()
    session = Session(model.listener)
    session.say(sound((1.0, 40), *words(1, 3, level=HUM), (6.0, HUM), *words(4, 5, level=HUM), (4.0, HUM)))
    assert session.texts == ["w1 w2 w3", "w4 w5"]
    assert max(model.heard) < 5, "what has no word in it is let go of"


def test_a_speech_without_a_pause_is_settled_before_it_is_too_long() -> None:
    model = Model()
    session = Session(model.listener)
    breaths = [part for first in range(1, 151, 10) for part in (*words(first, first + 9, gap=0.06), (0.38, 40))]
    session.say(sound((0.5, 40), *breaths, (0.7, 40)))
    assert " ".join(session.texts) == " ".join(f"w{number}" for number in range(1, 151))
    assert max(model.heard) <= 20.5


def test_a_slow_model_is_asked_less_often() -> None:
    fast, slow = Model(slow=0.01), Model(slow=0.3)
    data = sound((0.5, 40), *words(1, 40, gap=0.06), (0.7, 40))
    for model in (fast, slow):
        session = Session(model.listener)
        session.say(data)
        assert len(" ".join(session.texts).split()) == 40
    assert sum(fast.heard) < 6 * len(data) / 2 / SAMPLE_RATE
    # A third of the time, and what hearing each utterance once takes.
    assert slow.now < (1 / 3 + 0.3) * len(data) / 2 / SAMPLE_RATE
    assert len(slow.heard) < len(fast.heard)
