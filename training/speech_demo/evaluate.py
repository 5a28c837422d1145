"""Word error rates through Vosk itself, decoding as the product does: 16 kHz, a quarter of a second at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import vosk
from numpy.typing import NDArray

from training.speech_demo.corpus import SAMPLE_RATE, Utterance

_FEED = SAMPLE_RATE // 4


@dataclass(frozen=True, slots=True)
class Score:
    """Errors in a set of utterances. `mistakes` holds (voice, spoken, heard) of every wrong one."""

    words: int
    errors: int
    utterances: int
    mistakes: tuple[tuple[str, str, str], ...]

    @property
    def word_error_rate(self) -> float:
        return self.errors / self.words

    @property
    def all_right(self) -> int:
        return self.utterances - len(self.mistakes)


def open_model(folder: str) -> vosk.Model:
    """Load a model with Vosk's log off."""
    vosk.SetLogLevel(-1)
    return vosk.Model(folder)


def transcribe(model: vosk.Model, samples: NDArray[np.int16]) -> str:
    """The text of 16 kHz samples."""
    recognizer = vosk.KaldiRecognizer(model, SAMPLE_RATE)
    texts = []
    for start in range(0, len(samples), _FEED):
        if recognizer.AcceptWaveform(samples[start : start + _FEED].tobytes()):
            texts.append(json.loads(recognizer.Result())["text"])
    texts.append(json.loads(recognizer.FinalResult())["text"])
    return " ".join(text for text in texts if text)


def errors_between(spoken: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions from one to the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(spoken, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def score(model: vosk.Model, utterances: Iterable[Utterance], noise_db: float | None = None) -> Score:
    """Decode each, with 0.2 s of silence before and 0.4 s after. `noise_db`: white noise at this signal-to-noise."""
    rng = np.random.default_rng(3)
    words = errors = count = 0
    mistakes = []
    for utterance in utterances:
        samples = np.pad(utterance.samples.astype(np.float64), (SAMPLE_RATE // 5, SAMPLE_RATE * 2 // 5))
        if noise_db is not None:
            samples += rng.standard_normal(len(samples)) * samples.std() * 10 ** (-noise_db / 20)
        heard = transcribe(model, np.clip(samples, -32768, 32767).astype(np.int16))
        wrong = errors_between(utterance.text.split(), heard.split())
        words, errors, count = words + len(utterance.text.split()), errors + wrong, count + 1
        if wrong:
            mistakes.append((utterance.voice, utterance.text, heard))
    return Score(words, errors, count, tuple(mistakes))
