"""Which voices speak for training, and which are kept back to measure on."""

from __future__ import annotations

from collections.abc import Iterable

HELD_OUT_VARIANTS = ("Annie", "john", "m5", "f4", "steph2", "Hugo", "paul", "linda", "grandpa", "Andy")
"""espeak-ng variants that training never hears."""

HELD_OUT_FLITE = ("rms",)
"""flite voices that training never hears."""

TRAINING_FLITE = ("kal16", "slt", "awb")

FIXED_VOICES = ("en-us", "en-us+f3", "flite-slt", "flite-awb", "flite-kal16", "flite-rms")
"""Who reads the vocabulary's sentences, at ordinary speed, for the figures. Training never heard flite-rms."""

# Effects rather than voices: whispers, robots, or too distorted to learn words from.
_UNSUITABLE = ("Demonic", "announcer", "UniRobot", "whisper", "whisperf", "croak", "Tweaky", "anikaRobot", "fast")
_UNSUITABLE_PREFIXES = ("robosoft", "norbert")

# General American most often. espeak-ng sets British English by the name `en`; `en-gb` is refused.
TRAINING_ACCENTS = (
    *["en-us"] * 11,
    *["en"] * 2,
    *["en-us-nyc"] * 2,
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-029",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)
HELD_OUT_ACCENTS = ("en-us", "en-us", "en")


def training_variants(all_variants: Iterable[str]) -> tuple[str, ...]:
    """The espeak-ng variants that training may use."""
    left_out = {*HELD_OUT_VARIANTS, *_UNSUITABLE}
    return tuple(v for v in all_variants if v not in left_out and not v.startswith(_UNSUITABLE_PREFIXES))
