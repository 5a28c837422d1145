"""What the app asks of an engine. `sdxl`, `speech` and the tests' small engines all satisfy these."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Protocol

from engines.events import OnEvent, OnProgress, ignore
from engines.requests import ImageRequest, ListenRequest, TranscribeRequest
from engines.results import Heard, ImageModelInfo, ImageResult, SpeechModelInfo, Transcript, Unused


class ImageEngine(Protocol):
    """Makes pictures on one device. Not thread-safe: one worker calls it."""

    @property
    def info(self) -> ImageModelInfo:
        """Known before `load`."""

    def load(self, on_progress: OnProgress = ignore) -> None:
        """Read the weights onto the device, after fetching them if need be. Blocking, idempotent.

        Raises ModelMissing, ModelInvalid, DownloadFailed, OutOfMemory.
        """

    def check(self, request: ImageRequest, photo: Path | None) -> tuple[Unused, ...]:
        """Raise InvalidRequest if this model cannot serve the request; else tell what of it will not be used.

        Cheap; safe before `load`, on any thread. Of a photo (PNG, JPEG, WebP) it reads the header only: what is damaged
        behind it is InvalidMedia from `generate`.
        """

    def generate(self, request: ImageRequest, photo: Path | None, on_event: OnEvent, cancel: Event) -> ImageResult:
        """Make the pictures. Looks at `cancel` at every step and raises Cancelled; frees its memory in every case.

        Raises InvalidRequest, InvalidMedia, Cancelled, OutOfMemory, ModelMissing, and ProcessLost, after which the same
        call may succeed.
        """

    def close(self) -> None:
        """Free the device."""


class LiveSession(Protocol):
    """One speaker who is heard. Not thread-safe: one thread calls it, in the order of the sound."""

    def accept(self, sound: bytes) -> Heard:
        """Some more sound, of any length. Returns when it has been worked on. Raises Cancelled, EngineCrashed."""

    def flush(self) -> Heard:
        """Settle what is not settled yet, as at a pause; more sound may follow. Raises Cancelled, EngineCrashed."""

    def close(self) -> None:
        """Free what the session holds. Idempotent."""


class SpeechEngine(Protocol):
    """Turns speech into text. Thread-safe: several workers may call it at once."""

    @property
    def info(self) -> SpeechModelInfo:
        """Known before `load`."""

    def load(self) -> None:
        """Get ready to transcribe. Blocking, idempotent. Raises ModelMissing, ModelInvalid."""

    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        """Raise InvalidRequest or ModelMissing if this engine cannot serve the request; else tell what of it will not
        be used. Safe before `load`, on any thread; it may read a file."""

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        """Transcribe a file. Tells of each segment when it is known. Looks at `cancel` at least once a second of work.

        Raises InvalidRequest, InvalidMedia, Cancelled, EngineCrashed, ServiceUnavailable.
        """

    def listen(self, request: ListenRequest, cancel: Event) -> LiveSession:
        """Begin a live session, which is the caller's to close. Waits for the model if that is still loading.

        Raises InvalidRequest, Cancelled, ModelMissing, ModelInvalid, EngineCrashed, ServiceUnavailable.
        """

    def close(self) -> None:
        """End worker processes and connections."""
