"""The transcription service: a SpeechEngine behind OpenAI's route, small enough for a Cloud Run container.

It keeps nothing: no jobs, no stores, no page. It imports no torch and no Gradio.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from app.concurrency import run_blocking
from app.http.errors import install_error_handlers
from app.http.middleware.auth import BearerAuth
from app.http.middleware.limits import BodyLimit
from app.http.middleware.stopping import AnswerWhenStopped
from app.http.transcripts import OPENAPI_BODY, open_transcription_form, render
from app.http.uploads import read_to_end
from app.jobs.model import Draining, QueueFull
from app.runner import DrainingServer
from engines.errors import Cancelled, ServiceUnavailable, StudioError
from engines.protocols import SpeechEngine
from engines.types import Progress, TranscribeRequest, Transcript

logger = logging.getLogger(__name__)

FORM_BYTES = 256 * 1024
"""Room for a form's other fields and boundaries, beside the file."""

PROBES = frozenset({"/health/live", "/health/ready"})
"""What platforms ask without a token; the answers tell a state and nothing else."""


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What one instance of the service takes on."""

    max_upload_bytes: int = 32 * 1024 * 1024
    """Largest file. Cloud Run itself takes 32 MiB a request over HTTP/1."""
    max_at_once: int = 4
    """Requests in work or waiting for the engine; the next one gets 503 with Retry-After."""
    api_tokens: frozenset[str] = frozenset()
    """Empty: whoever reaches the port may call, as behind Cloud Run's own access control."""
    tmp_dir: Path | None = None
    """Where uploads lie while they are worked on; None is the system's."""


class TranscriptionService:
    """The engine, and how much work it has."""

    def __init__(self, engine: SpeechEngine, options: ServiceOptions) -> None:
        self.engine = engine
        self.options = options
        self.draining = False
        self._cancels: set[Event] = set()
        self._gave_up = False
        self._loaded = False
        self._failure: StudioError | None = None

    @property
    def status(self) -> str:
        """loading, healthy, failed or draining."""
        if self.draining:
            return "draining"
        if self._failure:
            return "failed"
        return "healthy" if self._loaded else "loading"

    def start_drain(self) -> None:
        self.draining = True

    def busy(self) -> bool:
        return self.active > 0

    def give_up(self) -> None:
        """Cancel what is still in work at the end of a drain."""
        self._gave_up = True
        # A copy: the server calls this from another thread than the one where requests come and go.
        for cancel in tuple(self._cancels):
            cancel.set()

    @property
    def active(self) -> int:
        """Requests in work."""
        return len(self._cancels)

    async def load(self) -> None:
        try:
            await run_blocking(self.engine.load)
        except StudioError as error:
            logger.error("The speech engine could not be loaded: %s", error)
            self._failure = error
        else:
            self._loaded = True

    def check_admission(self) -> None:
        """Raise Draining, QueueFull, ServiceUnavailable, or why the engine did not load."""
        if self.draining:
            raise Draining
        if self._failure:
            # One exception for many requests would otherwise collect the traces of all.
            raise self._failure.with_traceback(None)
        if not self._loaded:
            raise ServiceUnavailable("The speech model is still being loaded: try again in a few seconds.")
        if self.active >= self.options.max_at_once:
            raise QueueFull("The service has as many files in work as it takes: try again in a few seconds.")

    @contextlib.contextmanager
    def place(self) -> Iterator[Event]:
        """Counts one request as in work, and gives it its cancel event."""
        cancel = Event()
        self._cancels.add(cancel)
        try:
            yield cancel
        except Cancelled as error:
            if self._gave_up:
                raise ServiceUnavailable("The service was stopped before it had finished: try again.") from error
            raise
        finally:
            # Also when the server itself drops the request.
            cancel.set()
            self._cancels.discard(cancel)


def create_service(engine: SpeechEngine, options: ServiceOptions | None = None) -> FastAPI:
    """The service over `engine`, which it loads at start and closes at the end. `app.state.service` has its state."""
    options = options or ServiceOptions()
    service = TranscriptionService(engine, options)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # In the background, so that probes are answered while a large model loads.
        loading = asyncio.create_task(service.load())
        try:
            yield
        finally:
            loading.cancel()
            await run_blocking(engine.close)

    # No page of documentation: FastAPI's would load its scripts from another host. /openapi.json is there.
    app = FastAPI(title="Carrot Studio transcription", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    install_error_handlers(app)
    _add_health(app, service)

    @app.post("/v1/audio/transcriptions", openapi_extra=OPENAPI_BODY)
    async def transcriptions(request: Request) -> Response:
        """Transcribe one file, in OpenAI's shape."""
        try:
            service.check_admission()
        except StudioError:
            await read_to_end(request)
            raise
        with service.place() as cancel:
            return await _answer(request, service, cancel)

    app.add_middleware(AnswerWhenStopped)
    app.add_middleware(BodyLimit, max_bytes=options.max_upload_bytes + FORM_BYTES)
    app.add_middleware(BearerAuth, tokens=options.api_tokens, exempt=PROBES)
    return app


def run(
    engine: SpeechEngine, host: str, port: int, options: ServiceOptions | None = None, *, drain_seconds: float = 8.0
) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain. Cloud Run kills an instance 10 s after SIGTERM."""
    app = create_service(engine, options)
    service: TranscriptionService = app.state.service
    # No lines of requests: their addresses are what callers wrote, and the platform keeps its own.
    config = uvicorn.Config(app, host=host, port=port, server_header=False, log_config=None, access_log=False)
    DrainingServer(
        config,
        start_drain=service.start_drain,
        busy=service.busy,
        drain_seconds=drain_seconds,
        give_up=service.give_up,
    ).run()


def _add_health(app: FastAPI, service: TranscriptionService) -> None:
    def answer(body: dict[str, object]) -> JSONResponse:
        healthy = service.status == "healthy"
        return JSONResponse(body, status_code=200 if healthy else 503, headers={} if healthy else {"Retry-After": "5"})

    @app.get("/health")
    async def health() -> JSONResponse:
        """State and model: 200 when files can be transcribed, else 503 with loading, failed or draining."""
        info = service.engine.info
        model = {"name": info.name, "label": info.label, "demo": info.demo, "language": info.language}
        loaded = service.status in ("healthy", "draining")
        return answer({"status": service.status, "models_loaded": loaded, "model": model, "active": service.active})

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        """The same as a bare state, for probes."""
        return answer({"status": service.status})

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """200 as long as the process answers."""
        return {"status": "alive"}


async def _answer(request: Request, service: TranscriptionService, cancel: Event) -> Response:
    options = service.options
    async with open_transcription_form(request, max_bytes=options.max_upload_bytes, tmp_dir=options.tmp_dir) as form:
        service.engine.check(form.request())
        transcript = await _transcribe(request, service.engine, form.request(), cancel)
        return render(transcript, form.response_format, form.granularities)


async def _transcribe(request: Request, engine: SpeechEngine, wanted: TranscribeRequest, cancel: Event) -> Transcript:
    """Transcribe for a client that may hang up, which cancels the work."""
    work = asyncio.ensure_future(run_blocking(engine.transcribe, wanted, _ignore, cancel))
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            cancel.set()
        return await work
    finally:
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _ignore(_: Progress) -> None:
    """Nobody watches the progress of a plain HTTP request."""
