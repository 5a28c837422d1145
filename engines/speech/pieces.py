"""Cuts a long recording at its pauses, so that its pieces can be recognised side by side.

A recogniser ends an utterance at half a second of silence and begins afresh. Cut there, the pieces give the words of
the whole. Where somebody speaks (or plays music) without a pause, the quietest moment has to do.
"""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

SAMPLE_RATE = 16_000

FRAME = 480
"""Samples; 30 ms. Recognisers tell times in steps of 30 ms: cuts on the same grid leave every time as it would be."""

FRAMES_PER_SECOND = SAMPLE_RATE / FRAME

SKIP = 3
"""Every third sample tells how loud a frame is, in a third of the time."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds. A piece ends at the best pause between `shortest` and `aimed`; without one it goes on, at most to
    `longest`.

    The usual ones are for recognisers that get used to a voice, so that shorter pieces cost words and time; longer ones
    leave cores idle at the end.
    """

    shortest: float = 20.0
    aimed: float = 40.0
    longest: float = 60.0
    lead: float = 0.0
    """Of the sound before a piece, to be heard with it: for recognisers that have not heard it, and do not know the
    voice."""
    longer: float = 0.0
    """By how much pieces may be longer than that where much is left."""

    def for_what_is_left(self, whole: float | None, start: float, recognisers: int) -> Lengths:
        """Of the piece that begins at `start` of a recording of about `whole` seconds: longer where much is left for so
        many recognisers, and shorter where little is, that all are done at about the same time (guided
        self-scheduling, Polychronopoulos and Kuck, 1987). A recording that is one piece stays one."""
        if whole is None or not recognisers or not self.aimed < whole or start >= whole:
            return self
        part = (whole - start) / (2 * recognisers * self.aimed)
        if part > 1:
            more = min((part - 1) * self.aimed, self.longer)
            return replace(self, shortest=self.shortest + more, aimed=self.aimed + more, longest=self.longest + more)
        part = max(part, LEAST_PART)
        return replace(self, shortest=part * self.shortest, aimed=part * self.aimed)


USUAL = Lengths(lead=3.0, longer=120.0)
"""A recogniser that comes from elsewhere in the recording hears some words of a piece otherwise than uncut: tried once,
in a quarter of an hour of Vosk's small Korean model, 7.0 % in pieces of 40 s, and 5.1 % with these lengths and lead."""

ALONE = Lengths(aimed=34.0, longest=54.0, lead=6.0)
"""Where each piece is heard by a recogniser of its own. With the lead it is no longer than a usual one, so that a
service which cuts what it is sent leaves it whole."""

LEAST_PART = 0.5
"""Of the usual lengths, at the end of a recording."""

PAUSES = (1.02, 0.69, 0.51, 0.36)
"""Lengths of pauses in seconds, the best first. The last is a breath: half of it on each side keeps words whole."""

QUIET_SHARE = 0.3
"""How far above the background a pause may be, as a part of the way from there to the loudest sounds (in decibels)."""

SILENCE_DB = 26.0
"""A mean square of 20 * 20 (of 32,768 * 32,768), -64 dBFS: a pause whatever the rest is like."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound between two cuts, 16 kHz mono int16, and the `lead` just before it. `start`: samples from the beginning of
    the recording."""

    start: int
    sound: bytes
    lead: bytes = b""

    @property
    def seconds(self) -> float:
        return len(self.sound) / 2 / SAMPLE_RATE


def cut(
    blocks: Iterable[bytes],
    usual: Lengths = USUAL,
    whole: Callable[[], float | None] = lambda: None,
    recognisers: int = 0,
) -> Iterator[Piece]:
    """The recording's pieces, in order, without a sample lost; the same ones every time. Holds one piece at a time.

    A recording of at most `usual.aimed` seconds is one piece, and a piece that is cut again stays whole. `whole`: about
    how many seconds it has, asked once it has begun. `recognisers`: how many share the pieces; 0 where each piece is
    heard by itself.
    """
    sound = bytearray()
    lead = b""
    levels: list[float] = []
    start = 0
    lengths: Lengths | None = None
    for block in blocks:
        if lengths is None:
            lengths = usual.for_what_is_left(whole(), start / SAMPLE_RATE, recognisers)
        sound += block
        while len(sound) // 2 // FRAME > len(levels):
            at = len(levels) * FRAME * 2
            levels.append(level(sound[at : at + FRAME * 2]))
            frames = len(levels)
            # Beyond `aimed` a new look is worth while only now and then: a pause takes a third of a second.
            if frames < lengths.aimed * FRAMES_PER_SECOND or frames % 12:
                continue
            end = find_pause(levels, lengths)
            if end is None:
                continue
            piece = Piece(start, bytes(sound[: end * FRAME * 2]), lead)
            yield piece
            start += end * FRAME
            lead = _last(lead + piece.sound, usual.lead)
            del sound[: end * FRAME * 2], levels[:end]
            lengths = usual.for_what_is_left(whole(), start / SAMPLE_RATE, recognisers)
    if sound or not start:
        yield Piece(start, bytes(sound), lead)


def _last(sound: bytes, seconds: float) -> bytes:
    """Whole frames, so that times stay on their grid."""
    frames = min(int(seconds * FRAMES_PER_SECOND), len(sound) // 2 // FRAME)
    return sound[len(sound) - frames * FRAME * 2 :]


def find_pause(levels: list[float], lengths: Lengths = USUAL) -> int | None:
    """The frame to cut before, or None to wait for a better place. `levels`: decibels, a frame each, from a cut on."""
    quiet = quiet_level(levels)
    first = int(lengths.shortest * FRAMES_PER_SECOND)
    for pause in PAUSES:
        at, loudest = _quietest(levels, first, round(pause * FRAMES_PER_SECOND))
        if loudest <= quiet:
            return at
    return at if len(levels) >= lengths.longest * FRAMES_PER_SECOND else None


def quiet_level(levels: Iterable[float], share: float = QUIET_SHARE, least: float = 0.0) -> float:
    """Up to which level a frame is part of a pause among `levels`, which are not none: `share` of the way from the
    background to the loudest, but `least` above the background. All but `share` in decibels."""
    ordered = sorted(levels)
    background, loud = ordered[len(ordered) // 20], ordered[len(ordered) * 9 // 10]
    return max(background + max(share * (loud - background), least), SILENCE_DB)


def _quietest(levels: list[float], first: int, width: int) -> tuple[int, float]:
    """The middle of the stretch of `width` frames from `first` on whose loudest frame is quietest, and that level."""
    loudest, start = min((max(levels[at : at + width]), at) for at in range(first, len(levels) - width + 1))
    return start + width // 2, loudest


def level(frame: bytes | bytearray) -> float:
    """How loud a frame is, in decibels above a mean square of 1."""
    samples = array("h", bytes(frame))[::SKIP]
    return 10 * math.log10(sum(map(operator.mul, samples, samples)) / len(samples) + 1)
