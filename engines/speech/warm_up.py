"""What a loaded model does before anybody speaks: it hears a few seconds of speech, and forgets them.

A model with a look-ahead graph (HCLr.fst and Gr.fst, as Vosk's small ones have) is unfolded where speech goes, and a
recogniser keeps what it has unfolded. Children that are forked from one that has heard something share that part, and
need not unfold it each for itself: a voice message of five seconds took a third to a half less computing with Vosk's
small Korean model, a longer one less and less of its own.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import vosk

WARM_UP = Path(__file__).parent / "warm_up.wav"
"""Made by training/make_warm_up.py. 16 kHz mono int16."""

BLOCK = 1600
"""Samples; a tenth of a second, which takes a few hundredths to hear. So long may a task have to wait."""


def needs_warm_up(model_folder: Path) -> bool:
    """False for a model whose whole graph is on the disk."""
    return (model_folder / "graph" / "HCLr.fst").exists()


def warm_up(recognizer: vosk.KaldiRecognizer) -> Iterator[int]:
    """Hear the speech block by block; the samples heard so far, after each.

    A child that is forked in the middle ends the utterance itself.
    """
    heard = 0
    with wave.open(str(WARM_UP)) as file:
        while block := file.readframes(BLOCK):
            recognizer.AcceptWaveform(block)
            heard += len(block) // 2
            yield heard
    recognizer.FinalResult()
