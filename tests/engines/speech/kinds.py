"""The local engines, each with recordings that its small model understands: what one promises, all keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.speech.local_engine import LocalEngine
from engines.speech.onnx_engine import OnnxEngine
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MODEL, SENTENCES
from tests.engines.speech.tones import PITCHES, STARTS, Track, write
from tests.tiny_onnx import TONES, tone_model

SAID = "carrot studio"
"""What the tones of a Track say to the model that hears tones."""

LONGER = 14
"""Sentences in longer.wav."""


@dataclass(frozen=True)
class Kind:
    """An engine over its small model. `data`: recordings of the same names for all kinds; `texts`: what is said in
    them. `longer_seconds`: how long longer.wav is. `half`: words that are at least in somewhat more than
    half of sentence.*. `behind`: seconds of sound after the end of a word after which a
    live session has told it."""

    name: str
    make: Callable[..., LocalEngine]
    data: Path
    texts: dict[str, str]
    longer_seconds: float
    half: int
    behind: float


def vosk_kind(texts: dict[str, str]) -> Kind:
    return Kind("vosk", lambda **options: VoskEngine(MODEL, **options), DATA, texts, 39.4, 3, 0.5)


def onnx_kind(folder: Path) -> Kind:
    model = tone_model(folder / "vosk-model-small-en-0.52")
    data = folder / "data"
    data.mkdir()
    for name, kind in zip(SENTENCES, ("wav", "mp3", "ipod", "ogg", "webm", "mp4"), strict=True):
        codec = {"mp4": "aac", "ipod": "aac"}.get(kind, "")
        write(data / name, kind, Track(codec=codec))
    texts = dict.fromkeys(SENTENCES, SAID)
    for name, sentences in (("longer.wav", LONGER), ("digits.wav", 2)):
        write(data / name, "wav", said(sentences))
        texts[name] = " ".join([SAID] * sentences)
    for name in ("silence.wav", "noise.wav"):
        (data / name).symlink_to(DATA / name)
    return Kind("onnx", lambda **options: OnnxEngine(model, **options), data, texts, LONGER * Track().seconds, 1, 0.8)


def said(sentences: int, *, pause: float = 0.0, rate: int = 16_000) -> Track:
    """`SAID` so many times, with 0.7 seconds and `pause` from one to the next."""
    every = Track().seconds + pause
    starts: Sequence[float] = [number * every + start for number in range(sentences) for start in STARTS]
    pitches = tuple(TONES) * sentences
    assert tuple(TONES) == PITCHES
    return Track(starts=tuple(starts), seconds=sentences * every, pitches=pitches, codec="pcm_s16le", rate=rate)
