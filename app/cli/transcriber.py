"""`launch.py transcriber`: the speech service with Vosk, from the environment. Imports no torch and no Gradio."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from app.accounts import Accounts
from app.fetch import Fetcher
from app.jobs.fetching import FETCHED_AT_ONCE, FetchWorker
from app.jobs.model import FETCH, AnyKind
from app.jobs.queue import Queue
from app.jobs.store.opening import open_stores
from app.jobs.worker import Worker
from app.logs import set_up_logging
from app.runner import PortRefused, listen, run, say
from app.settings.fields import TranscriberSettings
from app.studio import Service
from app.vosk import build_vosk
from app.work.live import Feeds, LiveKind, LiveLimits
from app.work.speech import TranscriptionKind
from engines.errors import StudioError
from engines.imports import uncollected
from engines.protocols import SpeechEngine

DEMO_MODEL = Path(__file__).resolve().parents[2] / "models" / "vosk-demo-en"
CLOUD_RUN_DRAIN_SECONDS = 8
"""Cloud Run kills an instance 10 s after SIGTERM."""

KEPT_SECONDS = 600.0
"""For a job that has ended: the folder may be memory, and nobody asks again but who lost the answer just now."""


def main(settings: TranscriberSettings) -> int:
    """Serve until told to stop."""
    set_up_logging()
    # Recordings lie in the system's folder for temporary files while they are worked on.
    os.umask(0o077)
    try:
        listener = listen(settings.host, settings.port)
        engine = build_vosk(settings, settings.vosk_model or DEMO_MODEL)
        service = assemble(settings, engine, _begin_to_load(engine))
    except (PortRefused, StudioError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    drain = (
        min(settings.drain_seconds, CLOUD_RUN_DRAIN_SECONDS) if settings.cloud_run_service else settings.drain_seconds
    )

    with uncollected():
        from app.http.apps import create_transcriber

    return run(
        create_transcriber(service, Accounts(settings.tokens), settings.trusted_hosts),
        listener,
        service.queue,
        drain_seconds=drain,
        on_started=lambda: say(f"Speech service on http://{settings.host}:{settings.port} with {engine.info.label}"),
    )


def _begin_to_load(engine: SpeechEngine) -> Callable[[], None]:
    """Load the model beside the imports that are still to come, on the other core: each takes about half a second.

    Returns what waits for it and raises what it raised. Loading it again meanwhile would start a second process.
    """
    loaded: Future[None] = Future()

    def load() -> None:
        try:
            engine.load()
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            loaded.set_exception(error)
        else:
            loaded.set_result(None)

    threading.Thread(target=load, daemon=True, name="load").start()
    return loaded.result


def assemble(settings: TranscriberSettings, speech: SpeechEngine, load: Callable[[], None] | None = None) -> Service:
    """The speech service: the studio's queue, over a folder that goes with the process. Raises StorageFailed.

    `load`: what loads `speech`, if not itself.
    """
    load = load or speech.load
    feeds = Feeds()
    kinds: list[AnyKind] = [TranscriptionKind(speech), LiveKind(speech, feeds)]
    opener = Fetcher(settings.fetch_hosts, max_bytes=settings.max_upload_mb * 2**20)
    with ExitStack() as opened:
        folder = opened.enter_context(TemporaryDirectory(prefix="carrot-transcriber-"))
        database, files = open_stores(Path(folder), opened)
        # As many waiting as in work: more would only wait where a balancer could send them elsewhere.
        capacity = {"speech": 2 * settings.speech_workers, "live": settings.live_sessions, FETCH: 2 * FETCHED_AT_ONCE}
        queue = Queue(database, files, kinds, capacity=capacity, opener=opener)
        return Service(
            queue=queue,
            files=files,
            workers=(
                Worker("speech", queue, kinds, lambda _: load(), width=settings.speech_workers),
                Worker("live", queue, kinds, lambda _: None, width=settings.live_sessions),
                FetchWorker(queue, files, kinds, opener),
            ),
            speech=speech,
            feeds=feeds,
            live=LiveLimits(settings.live_sessions, settings.live_minutes * 60.0, settings.live_idle_seconds),
            max_upload_bytes=settings.max_upload_mb * 2**20,
            retention_seconds=KEPT_SECONDS,
            close_stores=opened.pop_all().close,
        )
