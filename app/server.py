"""The server: HTTP routes and the Gradio page on one FastAPI app."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from app import health
from app.about import version
from app.api import jobs, legacy, openai
from app.api.docs import add_docs
from app.api.errors import install_error_handlers
from app.auth import BearerAuth
from app.concurrency import run_blocking
from app.guard import SiteGuard
from app.headers import SecurityHeaders
from app.limits import BodyLimit
from app.studio import Studio

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
    app = FastAPI(
        title="Carrot Studio",
        version=version(),
        description="Avatars, hero images and transcription. The page is at `/`, Gradio's own API at `/?view=api`.",
        lifespan=lambda _: _run(studio),
        docs_url=None,
        redoc_url=None,
    )
    app.state.studio = studio
    install_error_handlers(app)
    for router in (health.router, legacy.router, openai.router, jobs.router):
        app.include_router(router)
    add_docs(app)
    # Added last is asked first: host, then CORS, then who calls, then how much.
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
    files = gradio_cache()
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
    install_error_handlers(mount.app)
    mount.app = GradioGate(mount.app, blocks, files, max_upload_bytes=limit)
    return app


@asynccontextmanager
async def _run(studio: Studio) -> AsyncIterator[None]:
    studio.jobs.start()
    housekeeping = asyncio.create_task(_forget_old_jobs(studio))
    try:
        yield
    finally:
        housekeeping.cancel()
        with suppress(asyncio.CancelledError):
            await housekeeping
        await run_blocking(_close, studio)


async def _forget_old_jobs(studio: Studio) -> None:
    days = studio.settings.job_retention_days
    while days:
        await run_blocking(studio.jobs.prune, days * DAY)
        await asyncio.sleep(HOUR)


def _close(studio: Studio) -> None:
    studio.jobs.close()
    studio.image.close()
    studio.speech.close()
