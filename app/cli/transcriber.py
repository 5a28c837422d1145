"""`launch.py transcriber`: the speech service with Vosk, from the environment. Imports no torch and no Gradio."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from app.accounts import Accounts
from app.fetch import Fetcher
from app.http.apps import create_transcriber
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
from app.work.speech import TranscriptionKind
from engines.errors import StudioError
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
        service = assemble(settings, engine)
    except (PortRefused, StudioError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    drain = (
        min(settings.drain_seconds, CLOUD_RUN_DRAIN_SECONDS) if settings.cloud_run_service else settings.drain_seconds
    )

    return run(
        create_transcriber(service, Accounts(settings.tokens), settings.trusted_hosts),
        listener,
        service.queue,
        drain_seconds=drain,
        on_started=lambda: say(f"Speech service on http://{settings.host}:{settings.port} with {engine.info.label}"),
    )


def assemble(settings: TranscriberSettings, speech: SpeechEngine) -> Service:
    """The speech service: the studio's queue, over a folder that goes with the process. Raises StorageFailed."""
    kinds: list[AnyKind] = [TranscriptionKind(speech)]
    opener = Fetcher(settings.fetch_hosts, max_bytes=settings.max_upload_mb * 2**20)
    with ExitStack() as opened:
        folder = opened.enter_context(TemporaryDirectory(prefix="carrot-transcriber-"))
        database, files = open_stores(Path(folder), opened)
        # As many waiting as in work: more would only wait where a balancer could send them elsewhere.
        capacity = {"speech": 2 * settings.speech_workers, FETCH: 2 * FETCHED_AT_ONCE}
        queue = Queue(database, files, kinds, capacity=capacity, opener=opener)
        return Service(
            queue=queue,
            files=files,
            workers=(
                Worker("speech", queue, kinds, lambda _: speech.load(), width=settings.speech_workers),
                FetchWorker(queue, files, kinds, opener),
            ),
            speech=speech,
            max_upload_bytes=settings.max_upload_mb * 2**20,
            retention_seconds=KEPT_SECONDS,
            close_stores=opened.pop_all().close,
        )
