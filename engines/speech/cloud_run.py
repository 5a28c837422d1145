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
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import IO, Any, TypeVar

import httpx

from engines.errors import Cancelled, InvalidMedia, InvalidRequest, ModelInvalid, ModelMissing, ServiceUnavailable
from engines.events import OnEvent, Progress, SegmentHeard
from engines.protocols import LiveSession, SpeechEngine
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import SpeechModelInfo, Transcript, Unused
from engines.speech.by_language import LanguageEngine
from engines.speech.cloud_client import WHERE, CallFailed, CountingFile, call_service, read_service_info
from engines.speech.cloud_pieces import PieceEngine, Sending
from engines.speech.model import check_language, understands

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
    max_wait: float = 30.0
    """Longest wait before a retry, also when the service asks for more."""
    busy_seconds: float = 120.0
    """How long to come back to a service that says it is busy. These tries are not counted among the retries: of the
    pieces of one file, which all come at once, an instance refuses what it has no room for until others are done."""
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
        here = self._fallback.info if self._fallback else None
        if service := self._service_info:
            # What only this machine has is told too: requests for it are done here.
            more = tuple(one for one in (here, *here.others) if not understands(service, one.language)) if here else ()
            return replace(service, others=service.others + tuple(replace(one, others=()) for one in more))
        language = self._fallback.info.language if self._fallback else "und"
        return SpeechModelInfo("cloud-run", f"Transcription service at {self._base_url}", False, language, WHERE)

    def load(self) -> None:
        """Load the fall-back and ask the service for its model. A service that sleeps or is away is no error here."""
        if self._fallback:
            self._fallback.load()
        self._service_info = asyncio.run(self._ask_for_info())

    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        if isinstance(request, ListenRequest):
            return self._listener().check(request)
        if self._why_here(request):
            assert self._fallback is not None
            return self._fallback.check(request)
        if self._service_info:
            check_language(request.language, self.info)
        # Which words of a vocabulary its model knows the service tells with its answer.
        return ()

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        self.check(request)
        if why := self._why_here(request):
            return self._here(why, request, file, on_event, cancel)
        unused: dict[str, None] = {}
        try:
            transcript = self._by_service(request, file, on_event, cancel, unused)
        except CallFailed as error:
            if self._fallback is None:
                message = f"The transcription service {error.reason}: try again in a minute."
                raise ServiceUnavailable(message) from error
            return self._here(f"The transcription service {error.reason}", request, file, on_event, cancel)
        except InvalidRequest as error:
            # A service that was away when it was asked for its languages.
            if error.field != "language" or self._fallback is None:
                raise
            if not understands(self._fallback.info, request.language):
                raise
            return self._here(_no_model(request.language), request, file, on_event, cancel)
        return transcript.model_copy(update={"note": " ".join(filter(None, (*unused, transcript.note)))})

    def _by_service(
        self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event, unused: dict[str, None]
    ) -> Transcript:
        """Raises CallFailed, InvalidRequest."""
        with self._cutter(request, cancel) as cutter:
            if cutter and (pieces := self._by_pieces(cutter, request, file, on_event, cancel, unused)):
                return pieces
        transcript = asyncio.run(_until_cancelled(self._call(request, file, on_event, unused), cancel))
        for segment in transcript.segments:
            on_event(SegmentHeard(segment))
        return transcript

    def _why_here(self, request: TranscribeRequest) -> str:
        """Why the service is not asked, as the beginning of a sentence; empty where it is. Raises ModelMissing."""
        if request.speakers:
            if self._fallback is None:
                raise ModelMissing("Speakers can be told apart by a speech model on this machine only: there is none.")
            return "Speakers are told apart on this machine"
        service, here = self._service_info, self._fallback
        if service and here and not understands(service, request.language):
            return _no_model(request.language) if understands(here.info, request.language) else ""
        return ""

    def _here(self, why: str, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        assert self._fallback is not None
        transcript = self._fallback.transcribe(request, file, on_event, cancel)
        note = f"{why}, so this was transcribed by the local engine."
        return transcript.model_copy(update={"note": f"{note} {transcript.note}".strip()})

    def listen(self, request: ListenRequest, cancel: Event) -> LiveSession:
        """By the local engine: a live session would hold an instance of the service for as long as somebody speaks."""
        return self._listener().listen(request, cancel)

    def _listener(self) -> SpeechEngine:
        if self._fallback is None:
            raise ServiceUnavailable("Live sessions need a speech model on this machine, and there is none.")
        return self._fallback

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
        self,
        local: PieceEngine,
        request: TranscribeRequest,
        file: Path,
        on_event: OnEvent,
        cancel: Event,
        unused: dict[str, None],
    ) -> Transcript | None:
        """None for a file of one piece, which may as well go as it is."""
        _size(file)
        stop = Event()
        reading = local.read(file, self._options.at_once + 1)

        async def send(sound: bytes) -> Transcript:
            piece = request.model_copy(update={"filename": "piece.flac"})
            return await self._with_retries(piece, lambda: io.BytesIO(sound), unused)

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
            sending = Sending(local, request, reading, cuts, first, send, self._options.at_once, on_event, stop)
            try:
                return asyncio.run(_until_cancelled(sending.run(), cancel))
            finally:
                for cut in first:
                    cut.close()

    async def _call(
        self, request: TranscribeRequest, file: Path, on_event: OnEvent, unused: dict[str, None]
    ) -> Transcript:
        size = _size(file)
        if size > self._options.max_upload_bytes:
            raise CallFailed("does not take files of this size")

        def on_sent(sent: int) -> None:
            on_event(Progress("upload", sent, size, UPLOAD_SHARE * sent / size))

        return await self._with_retries(request, lambda: CountingFile(file, on_sent), unused)

    async def _with_retries(
        self, request: TranscribeRequest, open_file: Callable[[], IO[bytes]], unused: dict[str, None]
    ) -> Transcript:
        failures, waited = 0, 0.0
        async with self._client() as client:
            while True:
                try:
                    with open_file() as content:
                        return await call_service(client, request, content, self._now, unused.setdefault)
                except CallFailed as error:
                    wait = self._wait(failures, error.retry_after)
                    if error.busy:
                        waited += wait
                    else:
                        failures += 1
                    if not error.retry or failures > self._options.max_retries or waited > self._options.busy_seconds:
                        raise
                    await self._sleep(wait)

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


def _no_model(language: str | None) -> str:
    return f"The transcription service has no model for {language!r}"


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
