"""What the app asks of an engine. `sdxl`, `speech` and the tests' small engines all satisfy these."""

from __future__ import annotations

from threading import Event
from typing import Protocol

from engines.types import (
    ImageModelInfo,
    ImageRequest,
    ImageResult,
    ProgressCallback,
    SpeechModelInfo,
    TranscribeRequest,
    Transcript,
)


class ImageEngine(Protocol):
    """Makes pictures on one device. Not thread-safe: one lane calls it."""

    @property
    def info(self) -> ImageModelInfo:
        """Known before `load`."""

    def load(self) -> None:
        """Read the weights onto the device. Blocking, idempotent. Raises ModelMissing, ModelInvalid, OutOfMemory."""

    def check(self, request: ImageRequest) -> None:
        """Raise InvalidRequest if this model cannot serve the request. Cheap; safe before `load`, on any thread.

        Of a photo it reads the header only: what is damaged behind it is InvalidMedia from `generate`.
        """

    def generate(self, request: ImageRequest, on_progress: ProgressCallback, cancel: Event) -> ImageResult:
        """Make the pictures. Looks at `cancel` at every step and raises Cancelled; frees its memory in every case.

        Raises InvalidRequest, InvalidMedia, Cancelled, OutOfMemory, ModelMissing.
        """

    def close(self) -> None:
        """Free the device."""


class SpeechEngine(Protocol):
    """Turns speech into text. Thread-safe: several lanes may call it at once."""

    @property
    def info(self) -> SpeechModelInfo:
        """Known before `load`."""

    def load(self) -> None:
        """Get ready to transcribe. Blocking, idempotent. Raises ModelMissing, ModelInvalid."""

    def check(self, request: TranscribeRequest) -> None:
        """Raise InvalidRequest if this engine cannot serve the request. Cheap; does not read the file's content."""

    def transcribe(self, request: TranscribeRequest, on_progress: ProgressCallback, cancel: Event) -> Transcript:
        """Transcribe a file. Looks at `cancel` at least once a second of work.

        Raises InvalidRequest, InvalidMedia, Cancelled, EngineCrashed, ServiceUnavailable.
        """

    def close(self) -> None:
        """End worker processes and connections."""
