"""Live speech by a model that hears whole utterances only.

The utterance that is open is heard again and again while it grows, and a last time when its speaker pauses. A pause is
half a second of quiet, or a second and a half in which the model heard no word in the noise.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from engines.speech.audio import BLOCK_BYTES
from engines.speech.pieces import FRAME, FRAMES_PER_SECOND, SAMPLE_RATE, Lengths, find_pause, quiet_level
from engines.speech.utterances import PAUSE, Token, Words, levels_of, utterances

BEFORE = 0.3
"""Seconds of quiet that are kept before an utterance: some consonants are that quiet."""

FIRST = 0.5
"""Seconds of new sound after which the open utterance is heard again, at first."""

GROWTH = 0.25
"""The same as a part of the utterance's length, once that is more: so all hearing of an utterance takes at most five
times as long as hearing it once."""

IDLE = 3.0
"""And at least that many times what hearing it will take: one speaker takes a third of a core at most, beside what
hearing each utterance a last time takes."""

WORDLESS = 1.5
"""Seconds without a word, in sound that is not quiet, that end an utterance too."""

LENGTHS = Lengths(10.0, 16.0, 20.0)
"""An utterance without a pause is settled where it is quietest, as a file is cut there."""

REMEMBERED = 20.0
"""Seconds of sound that tell what is quiet here."""

QUIET_SHARE, QUIET_LEAST = 0.15, 6.0
"""How far above the background is still quiet: see quiet_level. Less than where files are cut, because what is quiet is
not heard at all."""

KEPT = 1.0
"""Seconds of sound without words that may hold the beginning of one."""

FRAME_BYTES = FRAME * 2


class Listener:
    """One speaker. Sound is 16 kHz mono int16; times count from the session's beginning."""

    def __init__(self, hear: Callable[[bytes], Sequence[Token]], clock: Callable[[], float] = time.monotonic) -> None:
        """`hear`: tells the tokens in a sound, timed from its beginning."""
        self.partial = ""
        """What the open utterance seems to say."""
        self._hear = hear
        self._clock = clock
        self._sound = bytearray()
        self._levels: list[float] = []
        self._gone = 0
        """Bytes before the open utterance."""
        self._recent: deque[float] = deque(maxlen=round(REMEMBERED * FRAMES_PER_SECOND))
        self._rate = 0.0
        """Seconds that it takes to hear one of sound, as of last time."""
        self._next = 0.0
        """At how many seconds of the open utterance it is heard again."""
        self._plan()

    def accept(self, sound: bytes) -> list[Words]:
        """Some more sound; the utterances that it has ended."""
        ended: list[Words] = []
        for at in range(0, len(sound), BLOCK_BYTES):
            self._take(sound[at : at + BLOCK_BYTES])
            # What has come meanwhile makes a partial text old: of much sound at once only the last one is worth it.
            ended += self._look(last=at + BLOCK_BYTES >= len(sound))
        return ended

    def flush(self) -> list[Words]:
        """Settle what is open, as at a pause."""
        return self._settle(len(self._sound))

    def _take(self, sound: bytes) -> None:
        self._sound += sound
        new = levels_of(self._sound[len(self._levels) * FRAME_BYTES :])
        self._levels += new
        self._recent.extend(new)

    def _look(self, *, last: bool) -> list[Words]:
        quiet = quiet_level(self._recent, QUIET_SHARE, QUIET_LEAST) if self._recent else 0.0
        since = next((number for number, one in enumerate(reversed(self._levels)) if one > quiet), None)
        if since is None:
            self._forget(self._until(BEFORE))
            return []
        if since >= PAUSE * FRAMES_PER_SECOND:
            return self._settle(self._until(BEFORE))
        if self._seconds >= LENGTHS.aimed and (at := find_pause(self._levels, LENGTHS)) is not None:
            return self._settle(at * FRAME_BYTES)
        return self._hear_again() if last and self._seconds >= self._next else []

    @property
    def _seconds(self) -> float:
        return len(self._sound) / 2 / SAMPLE_RATE

    def _settle(self, size: int) -> list[Words]:
        """The utterances in the first `size` bytes, which are done with."""
        ended = self._timed(self._heard(size))
        self._forget(size)
        return ended

    def _hear_again(self) -> list[Words]:
        began = self._clock()
        found = self._heard(len(self._sound))
        self._rate = (self._clock() - began) / self._seconds
        if self._seconds - (found[-1][-1]["end"] if found else 0.0) >= WORDLESS:
            ended = self._timed(found)
            self._forget(self._until(KEPT))
            return ended
        self.partial = " ".join(word["word"] for words in found for word in words)
        self._plan()
        return []

    def _heard(self, size: int) -> list[Words]:
        sound = bytes(self._sound[:size])
        return utterances(self._hear(sound), sound)

    def _timed(self, found: list[Words]) -> list[Words]:
        """The same in the session's time."""
        begins = self._gone / 2 / SAMPLE_RATE
        return [
            [{**word, "start": begins + word["start"], "end": begins + word["end"]} for word in words]
            for words in found
        ]

    def _until(self, seconds: float) -> int:
        """Bytes of whole frames, up to `seconds` before the end."""
        return max(len(self._levels) - round(seconds * FRAMES_PER_SECOND), 0) * FRAME_BYTES

    def _forget(self, size: int) -> None:
        """Let go of the first `size` bytes; what follows is a new utterance."""
        del self._sound[:size], self._levels[: -(-size // FRAME_BYTES)]
        self._gone += size
        self.partial = ""
        self._plan()

    def _plan(self) -> None:
        length, left = self._seconds, 1 - IDLE * self._rate
        self._next = max(length + FIRST, length * (1 + GROWTH), length / left if left > 0 else math.inf)
