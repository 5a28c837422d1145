"""The server: HTTP routes and the Gradio page on one FastAPI app."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from app.about import version
from app.concurrency import run_blocking
from app.http.docs import add_docs
from app.http.errors import install_error_handlers
from app.http.middleware.auth import BearerAuth
from app.http.middleware.headers import SecurityHeaders
from app.http.middleware.hosts import SiteGuard
from app.http.middleware.limits import BodyLimit
from app.http.middleware.stopping import AnswerWhenStopped
from app.http.routes import health, jobs, legacy, openai
from app.jobs.model import StorageFailed
from app.work.studio import Studio

if TYPE_CHECKING:
    from app.ui.cache import FileCache

log = logging.getLogger(__name__)

HOUR = 3600.0
DAY = 24 * HOUR


def create_app(studio: Studio) -> FastAPI:
    """Everything behind the port, over the given engines and stores."""
    # Read when gradio is imported, which is why the page's import waits until here.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import gradio

    from app.ui.blocks import build_blocks
    from app.ui.cache import gradio_cache
    from app.ui.gate import GradioGate
    from app.ui.theme import mount_options, page_script

    settings = studio.settings
    files = gradio_cache()
    app = FastAPI(
        title="Carrot Studio",
        version=version(),
        description="Avatars, hero images and transcription. The page is at `/`, Gradio's own API at `/?view=api`.",
        lifespan=lambda _: _run(studio, files),
        docs_url=None,
        redoc_url=None,
    )
    app.state.studio = studio
    install_error_handlers(app)
    for router in (health.router, legacy.router, openai.router, jobs.router):
        app.include_router(router)
    add_docs(app)
    # Added last is asked first: what browsers are told, host, then CORS, then who calls, then how much, then the stop.
    app.add_middleware(AnswerWhenStopped)
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_mb * 2**20)
    app.add_middleware(BearerAuth, tokens=settings.tokens, exempt=frozenset({"/health/live"}))
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
    )
    app.add_middleware(SiteGuard, hosts=settings.trusted_hosts, origins=settings.allowed_origins)
    app.add_middleware(SecurityHeaders, scripts=(page_script(),))
    blocks = build_blocks(studio, files)
    limit = settings.max_upload_mb * 2**20
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        show_error=False,
        max_file_size=limit,
        allowed_paths=[],
        enable_monitoring=False,
        **mount_options(),
    )
    mount = app.routes[-1]
    assert isinstance(mount, Mount)
    assert isinstance(mount.app, FastAPI)
    # Gradio's app has handlers of its own, which answer in another shape.
    install_error_handlers(mount.app)
    mount.app = GradioGate(mount.app, blocks, files, max_upload_bytes=limit)
    return app


@asynccontextmanager
async def _run(studio: Studio, files: FileCache) -> AsyncIterator[None]:
    studio.jobs.start()
    housekeeping = asyncio.create_task(_keep_house(studio, files))
    try:
        yield
    finally:
        housekeeping.cancel()
        with suppress(asyncio.CancelledError):
            await housekeeping
        await run_blocking(_close, studio)


async def _keep_house(studio: Studio, files: FileCache) -> None:
    while True:
        await run_blocking(_delete_what_is_old, studio, files)
        await asyncio.sleep(HOUR)


def _delete_what_is_old(studio: Studio, files: FileCache) -> None:
    """Old jobs, and what Gradio was lent to show. What fails now may work an hour later, when the disk has room."""
    days = studio.settings.job_retention_days
    try:
        if days:
            studio.jobs.prune(days * DAY)
        files.prune(DAY)
    except StorageFailed as problem:
        log.error("old jobs could not be deleted: %s", problem)
    except OSError as error:
        log.error("old files of Gradio's cache could not be deleted: %s", error.strerror)


def _close(studio: Studio) -> None:
    studio.jobs.close()
    studio.image.close()
    studio.speech.close()
