"""Speech to text by a remote transcription service, with the local engine for when it cannot be had.

A short file goes as it is. One that is long enough to be cut (pieces.py) goes as FLAC pieces, many at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, Any, TypeVar

import httpx

from engines.errors import Cancelled, InvalidMedia, InvalidRequest, ModelInvalid, ServiceUnavailable
from engines.events import OnEvent, Progress, SegmentHeard
from engines.protocols import LiveSession, SpeechEngine
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import SpeechModelInfo, Transcript
from engines.speech.by_language import LanguageEngine
from engines.speech.cloud_client import WHERE, CallFailed, CountingFile, call_service, read_service_info
from engines.speech.cloud_pieces import PieceEngine, Sending
from engines.speech.model import check_language

POLL_SECONDS = 0.05
"""How often a running call looks at its cancel event."""

UPLOAD_SHARE = 0.5
"""Part of the progress bar for the upload; what the service does afterwards cannot be seen from here."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How patient a CloudRunEngine is. All times in seconds."""

    connect_timeout: float = 5.0
    write_timeout: float = 30.0
    read_timeout: float = 300.0
    """Longest silence while the service works: Cloud Run's own default limit for a request."""
    max_retries: int = 2
    backoff: float = 0.5
    """Wait before the first retry; doubles with each, and is drawn between half and all of that."""
    max_wait: float = 10.0
    """Longest wait before a retry, also when the service asks for more."""
    max_upload_bytes: int = 32 * 1024 * 1024 - 64 * 1024
    """A larger file that cannot be cut goes to the local engine: Cloud Run takes 32 MiB a request, form included."""
    at_once: int = 10
    """Pieces of one file that are with the service at the same time: as many as it may have instances."""


class CloudRunEngine:
    """A SpeechEngine over HTTP.

    A file that the service finds unreadable is the caller's error and is not tried again. Every other failure, after
    its retries, goes to `fallback`, which is said in the transcript's `where` and `note`.
    """

    def __init__(
        self,
        base_url: str,
        fallback: SpeechEngine | None = None,
        *,
        options: CallOptions | None = None,
        auth: httpx.Auth | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._fallback = fallback
        self._options = options or CallOptions()
        self._auth = auth
        self._transport = transport
        self._sleep = sleep
        self._now = now
        self._service_info: SpeechModelInfo | None = None

    @property
    def info(self) -> SpeechModelInfo:
        if self._service_info:
            return self._service_info
        language = self._fallback.info.language if self._fallback else "und"
        return SpeechModelInfo("cloud-run", f"Transcription service at {self._base_url}", False, language, WHERE)

    def load(self) -> None:
        """Load the fall-back and ask the service for its model. A service that sleeps or is away is no error here."""
        if self._fallback:
            self._fallback.load()
        self._service_info = asyncio.run(self._ask_for_info())

    def check(self, request: TranscribeRequest) -> None:
        if self._service_info:
            check_language(request.language, self._service_info)

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        self.check(request)
        with self._cutter(request, cancel) as cutter:
            if cutter and (pieces := self._by_pieces(cutter, request, file, on_event, cancel)):
                return pieces
        try:
            transcript = asyncio.run(_until_cancelled(self._call(request, file, on_event), cancel))
        except CallFailed as error:
            reason = error.reason
        else:
            for segment in transcript.segments:
                on_event(SegmentHeard(segment))
            return transcript
        if self._fallback is None:
            raise ServiceUnavailable(f"The transcription service {reason}: try again in a minute.")
        transcript = self._fallback.transcribe(request, file, on_event, cancel)
        note = f"The transcription service {reason}, so this was transcribed by the local engine."
        return transcript.model_copy(update={"note": f"{note} {transcript.note}".strip()})

    def listen(self, request: ListenRequest, cancel: Event) -> LiveSession:
        """By the local engine: a live session would hold an instance of the service for as long as somebody speaks."""
        if self._fallback is None:
            raise ServiceUnavailable("Live sessions need a speech model on this machine, and there is none.")
        return self._fallback.listen(request, cancel)

    def close(self) -> None:
        if self._fallback:
            self._fallback.close()

    @contextlib.contextmanager
    def _cutter(self, request: TranscribeRequest, cancel: Event) -> Iterator[PieceEngine | None]:
        """The local engine, where it can cut files; None where it cannot, or has no model of this language."""
        with contextlib.ExitStack() as leased:
            engine: object = self._fallback
            if isinstance(engine, LanguageEngine):
                try:
                    engine = leased.enter_context(engine.engine_for(request.language, cancel))
                except InvalidRequest:
                    engine = None
            yield engine if isinstance(engine, PieceEngine) else None

    def _by_pieces(
        self, local: PieceEngine, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event
    ) -> Transcript | None:
        """None for a file of one piece, which may as well go as it is."""
        _size(file)
        stop = Event()
        reading = local.read(file, self._options.at_once + 1)

        async def send(sound: bytes) -> Transcript:
            piece = request.model_copy(update={"filename": "piece.flac"})
            return await self._with_retries(piece, lambda: io.BytesIO(sound))

        with contextlib.closing(reading.cuts(cancel)) as cuts:
            try:
                first = list(itertools.islice(cuts, 2))
            except ModelInvalid:
                # The service may do without the local engine.
                return None
            if len(first) < 2:
                for cut in first:
                    cut.close()
                return None
            sending = Sending(local, reading, cuts, first, send, self._options.at_once, on_event, stop)
            try:
                return asyncio.run(_until_cancelled(sending.run(), cancel))
            finally:
                for cut in first:
                    cut.close()

    async def _call(self, request: TranscribeRequest, file: Path, on_event: OnEvent) -> Transcript:
        size = _size(file)
        if size > self._options.max_upload_bytes:
            raise CallFailed("does not take files of this size")

        def on_sent(sent: int) -> None:
            on_event(Progress("upload", sent, size, UPLOAD_SHARE * sent / size))

        return await self._with_retries(request, lambda: CountingFile(file, on_sent))

    async def _with_retries(self, request: TranscribeRequest, open_file: Callable[[], IO[bytes]]) -> Transcript:
        async with self._client() as client:
            for attempt in range(self._options.max_retries + 1):
                try:
                    with open_file() as content:
                        return await call_service(client, request, content, self._now)
                except CallFailed as error:
                    if not error.retry or attempt == self._options.max_retries:
                        raise
                    await self._sleep(self._wait(attempt, error.retry_after))
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, attempt: int, asked: float | None) -> float:
        """Seconds before the next try. The random part keeps many callers from coming back at the same moment."""
        own = self._options.backoff * 2.0**attempt * random.uniform(0.5, 1.0)
        return min(max(own, asked or 0.0), self._options.max_wait)

    async def _ask_for_info(self) -> SpeechModelInfo | None:
        async with self._client() as client:
            return await read_service_info(client)

    def _client(self) -> httpx.AsyncClient:
        # One per call, because a connection belongs to the event loop that made it, and each call has its own loop.
        options = self._options
        return httpx.AsyncClient(
            base_url=self._base_url,
            auth=self._auth,
            transport=self._transport,
            timeout=httpx.Timeout(
                connect=options.connect_timeout,
                write=options.write_timeout,
                read=options.read_timeout,
                pool=options.connect_timeout,
            ),
        )


async def _until_cancelled(work: Coroutine[Any, Any, T], cancel: Event) -> T:
    """Run `work`, but drop it (and its connection) as soon as `cancel` is set."""
    task = asyncio.create_task(work)
    while not task.done():
        if cancel.is_set():
            task.cancel()
            await asyncio.wait({task})
            raise Cancelled
        await asyncio.wait({task}, timeout=POLL_SECONDS)
    return task.result()


def _size(file: Path) -> int:
    try:
        size = file.stat().st_size
    except OSError as error:
        raise InvalidMedia("file", "The file could not be opened on this machine: send it again.") from error
    if size == 0:
        raise InvalidMedia("file", "The file is empty (0 bytes): choose another one, or save the recording first.")
    return size
