"""`launch.py transcriber`: the speech service with Vosk, from the environment. Imports no torch and no Gradio."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from app.http.transcriber import ServiceOptions, run
from app.listening import PortRefused, listen
from app.logs import set_up_logging
from app.settings.fields import TranscriberSettings
from engines.errors import StudioError
from engines.speech.vosk_engine import VoskEngine

DEMO_MODEL = Path(__file__).resolve().parents[2] / "models" / "vosk-demo-en"
CLOUD_RUN_DRAIN_SECONDS = 8
"""Cloud Run kills an instance 10 s after SIGTERM."""


def main(settings: TranscriberSettings) -> int:
    """Serve until told to stop."""
    set_up_logging()
    # Recordings lie in the system's folder for temporary files while they are worked on.
    os.umask(0o077)
    try:
        # Told now: once the model is loaded, nobody looks at the terminal any more.
        listen(settings.host, settings.port).close()
        engine = VoskEngine(
            settings.vosk_model or DEMO_MODEL,
            workers=settings.speech_workers,
            max_seconds=settings.max_audio_minutes * 60,
        )
    except (PortRefused, StudioError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(f"Speech service on http://{settings.host}:{settings.port} with {engine.info.label}\n")
    sys.stdout.flush()
    drain = (
        min(settings.drain_seconds, CLOUD_RUN_DRAIN_SECONDS) if settings.cloud_run_service else settings.drain_seconds
    )
    options = ServiceOptions(
        max_upload_bytes=settings.max_upload_mb * 2**20,
        # As many waiting as in work: more would only wait where a balancer could send them elsewhere.
        max_at_once=2 * settings.speech_workers,
        api_tokens=settings.tokens,
    )
    run(engine, settings.host, settings.port, options, drain_seconds=drain)
    return 0
