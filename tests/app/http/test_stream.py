"""Streams that wait: comments keep them open, and the end of the server is told in them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from fastapi import FastAPI, Request

from app.accounts import Caller
from app.concurrency import run_blocking
from app.http.deps import Asked
from app.http.errors import install_error_handlers
from app.http.stream import EventStream
from app.jobs.live import JobEvent
from app.jobs.queue import Submission
from app.studio import Studio
from app.work.image import PlainRequest
from tests.serving import make_studio, serving, settings_in, until
from tests.small_engines import BlobEngine, EchoSpeech


def app_of(studio: Studio, heartbeat: float) -> FastAPI:
    """One route, whose stream says nothing of its job."""
    app = FastAPI()
    install_error_handlers(app)

    async def nothing(_: JobEvent) -> Iterable[bytes]:
        return ()

    @app.post("/stream", response_model=None)
    async def stream(request: Request) -> EventStream:
        job = await run_blocking(studio.queue.submit, Submission("image", PlainRequest(prompt="x"), "ann"))
        asked = Asked(request, Caller("ann"), idempotency_key=None, respond_async=False)
        return EventStream(asked, studio, job, nothing, heartbeat=heartbeat)

    return app


def test_a_stream_without_news_is_kept_open_and_told_when_the_server_stops(tmp_path: Path) -> None:
    image = BlobEngine()
    image.gate.clear()
    studio = make_studio(settings_in(tmp_path), image, EchoSpeech())
    studio.start()
    try:
        with (
            serving(app_of(studio, 0.05)) as url,
            httpx.stream("POST", f"{url}/stream", timeout=30) as answer,
        ):
            lines = answer.iter_lines()
            assert [next(lines) for _ in range(4)] == [": ping", "", ": ping", ""]
            studio.queue.give_up()
            told = [line for line in lines if line.startswith("data")]
            assert len(told) == 1
            assert '"code":"interrupted"' in told[0]
    finally:
        studio.close()


def test_a_stop_before_the_first_event_has_its_status(tmp_path: Path) -> None:
    studio = make_studio(settings_in(tmp_path), BlobEngine(), EchoSpeech())
    # Not started: the job waits.
    try:
        with (
            serving(app_of(studio, 30)) as url,
            httpx.Client(timeout=30) as client,
            ThreadPoolExecutor(1) as pool,
        ):
            waiting = pool.submit(client.post, f"{url}/stream")
            until(lambda: studio.queue.unfinished())
            studio.queue.give_up()
            answer = waiting.result(30)
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "interrupted")
    finally:
        studio.close()
