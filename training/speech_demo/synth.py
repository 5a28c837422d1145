"""Draws texts and voices, and has them spoken."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from training.speech_demo import flite, voices
from training.speech_demo.corpus import Utterance
from training.speech_demo.espeak import Espeak
from training.speech_demo.vocabulary import SENTENCES, draw_text, draw_text_with_unknown_words


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many utterances of each kind to speak."""

    espeak: int = 5200
    espeak_with_unknown_words: int = 800
    flite_per_voice: int = 1500

    def scaled(self, factor: float) -> Amounts:
        return Amounts(
            *(round(factor * n) for n in (self.espeak, self.espeak_with_unknown_words, self.flite_per_voice))
        )


def training_set(espeak: Espeak, amounts: Amounts, seed: int) -> list[Utterance]:
    """Utterances of the training voices."""
    random_ = random.Random(seed)
    variants = voices.training_variants(espeak.variants())

    def by_espeak(draw: Callable[[random.Random], str]) -> Utterance:
        voice = f"{random_.choice(voices.TRAINING_ACCENTS)}+{random_.choice(variants)}"
        return _by_espeak(espeak, draw(random_), voice, random_)

    utterances = [by_espeak(draw_text) for _ in range(amounts.espeak)]
    utterances += [by_espeak(draw_text_with_unknown_words) for _ in range(amounts.espeak_with_unknown_words)]
    for voice in voices.TRAINING_FLITE:
        utterances += [_by_flite(draw_text(random_), voice, random_) for _ in range(amounts.flite_per_voice)]
    return [u for u in utterances if len(u.spans) > 1]


def held_out_set(espeak: Espeak, per_engine: int, seed: int) -> list[Utterance]:
    """Utterances of voices that training never hears: first `per_engine` by espeak-ng, then as many by flite."""
    random_ = random.Random(seed)
    utterances = []
    for _ in range(per_engine):
        voice = f"{random_.choice(voices.HELD_OUT_ACCENTS)}+{random_.choice(voices.HELD_OUT_VARIANTS)}"
        utterances.append(_by_espeak(espeak, draw_text(random_), voice, random_))
    for _ in range(per_engine):
        utterances.append(_by_flite(draw_text(random_), random_.choice(voices.HELD_OUT_FLITE), random_))
    return utterances


def read_sentences(espeak: Espeak, voice: str) -> list[Utterance]:
    """All SENTENCES in one voice at its ordinary speed and pitch."""
    if voice.startswith("flite-"):
        return [flite.speak(text, voice.removeprefix("flite-")) for text in SENTENCES]
    return [espeak.speak(text, voice) for text in SENTENCES]


def _by_espeak(espeak: Espeak, text: str, voice: str, random_: random.Random) -> Utterance:
    return espeak.speak(
        text,
        voice,
        rate=random_.randint(115, 220),
        pitch=random_.randint(15, 90),
        pitch_range=random_.randint(20, 90),
        gap=random_.choice((0, 0, 0, 1, 3, 8)),
    )


def _by_flite(text: str, voice: str, random_: random.Random) -> Utterance:
    pitch = flite.PITCH[voice] * random_.uniform(0.8, 1.35)
    return flite.speak(text, voice, stretch=random_.uniform(0.72, 1.35), pitch=pitch)
