"""Where each frame stands on the file's own clock.

A pause without packets is silence of its length; timestamps that shake by some milliseconds are not followed; a clock
that cannot be right (backwards, hours ahead) is passed over by counting on, and `faults` says so.
"""

from __future__ import annotations

from enum import StrEnum

TOLERANCE = 0.1
"""Seconds by which timestamps may shake before they are believed: recorders stamp packets when they arrive."""

START_TOLERANCE = 0.02
"""The same for the first frame, before which nothing can have shaken."""

JUMP_SHARE = 0.4
"""A gap shows as a jump of at least this share of a frame; a smaller step at each frame is a clock of another speed."""

MAX_DRIFT = 0.01
"""Clocks of real devices differ by less than 1 %; more means that a header lies about the sample rate."""

MAX_GAP = 3600.0
"""Longest pause in seconds that is believed. Nobody waits for the silence of a broken clock."""

RESTART = 1.0
"""A clock that jumps back to within this of its beginning, in seconds, starts a further recording."""


class Fault(StrEnum):
    """What a clock did that cannot be followed."""

    RESTARTED = "restarted"
    BACKWARDS = "backwards"
    TOO_FAR = "too far"
    SPEED = "speed"


class Clock:
    """`place` is asked once for each frame, in order. Times in seconds."""

    def __init__(self, origin: float | None, begin: float, max_gap: float) -> None:
        """`origin`: the file's beginning by its timestamps, None to take the first frame's. `begin`: where that
        beginning stands in what is written. `max_gap`: longest pause that is believed."""
        self.faults: list[tuple[Fault, float]] = []
        self._origin = origin
        self._begin = begin
        self._max_gap = min(max_gap, MAX_GAP)
        self._offset: float | None = None
        self._end: float | None = None
        self._agreed = begin

    def place(self, time: float | None, duration: float, position: float, following: float | None) -> float:
        """Seconds to leave out before the frame: > 0 is silence, < 0 sound to drop.

        `time`: the frame's timestamp; None counts on. `position`: the end of what is written. `following`: the next
        frame's timestamp, which shows whether this one is wrong by itself.
        """
        if time is None:
            self._end = None if self._end is None else self._end + duration
            return 0.0
        if self._offset is None:
            return self._start(time, duration, position)
        expected = self._end if self._end is not None else time
        jump = time - expected
        if abs(jump) > TOLERANCE and following is not None and abs(following - expected - duration) < TOLERANCE:
            # The next frame goes on as if nothing had been: this one's stamp is wrong.
            self._end = expected + duration
            return 0.0
        self._end = time + duration
        lead = time + self._offset - position
        if abs(lead) < TOLERANCE:
            return 0.0
        jumped = abs(jump) >= JUMP_SHARE * duration
        if jumped and TOLERANCE <= lead <= self._max_gap:
            self._agreed = position + lead
            return lead
        if not jumped and abs(lead) <= MAX_DRIFT * (position - self._agreed):
            self._agreed = position
            return lead
        self.faults.append((self._fault(time, lead, jumped), position))
        self._count_on(time, position)
        return 0.0

    def _start(self, time: float, duration: float, position: float) -> float:
        if self._origin is None:
            self._origin = time
        self._end = time + duration
        lead = time - self._origin + self._begin - position
        if lead > self._max_gap:
            self.faults.append((Fault.TOO_FAR, position))
        self._offset = self._begin - self._origin
        if lead < -TOLERANCE or lead > self._max_gap:
            self._count_on(time, position)
            return 0.0
        return lead if lead > START_TOLERANCE else 0.0

    def _count_on(self, time: float, position: float) -> None:
        self._offset = position - time
        self._agreed = position

    def _fault(self, time: float, lead: float, jumped: bool) -> Fault:
        if not jumped:
            return Fault.SPEED
        if lead > 0:
            return Fault.TOO_FAR
        return Fault.RESTARTED if time - (self._origin or 0.0) < RESTART else Fault.BACKWARDS
