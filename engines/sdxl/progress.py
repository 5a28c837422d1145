"""Tells the caller how far a job is, and looks whether the caller wants it to go on."""

from __future__ import annotations

from threading import Event

from engines.errors import Cancelled
from engines.events import OnEvent, Progress

ENCODED = 0.02
DENOISED = 0.92
"""Shares of the whole at the end of a stage, about as SDXL spends its time with 30 steps on a GPU."""


class Meter:
    """Progress of one request: text is encoded, `batches` batches are denoised, `count` pictures are decoded."""

    def __init__(self, on_event: OnEvent, cancel: Event, batches: int, count: int) -> None:
        self._on_event = on_event
        self._cancel = cancel
        self._batches = batches
        self._count = count

    def check(self) -> None:
        """Raise Cancelled if the caller has set the event."""
        if self._cancel.is_set():
            raise Cancelled

    def encoded(self) -> None:
        self._report("encode", 1, 1, ENCODED)

    def stepped(self, batch: int, step: int, steps: int) -> None:
        """Step `step` of `steps` of batch `batch` (from 0) is done."""
        done, total = batch * steps + step, self._batches * steps
        self._report("denoise", done, total, ENCODED + (DENOISED - ENCODED) * done / total)

    def decoded(self, picture: int) -> None:
        """Picture `picture` (from 1) is done."""
        self._report("decode", picture, self._count, DENOISED + (1 - DENOISED) * picture / self._count)

    def _report(self, stage: str, step: int, total: int, fraction: float) -> None:
        self._on_event(Progress(stage, step, total, fraction))
        self.check()
