"""The two servers, made of the same parts: the studio with its page, and the speech service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from app.about import version
from app.accounts import Accounts
from app.concurrency import run_blocking
from app.http.docs import add_docs
from app.http.errors import install_error_handlers
from app.http.links import FileLinks
from app.http.login import LOGIN, LOGOUT, LoginPage, add_login
from app.http.middleware.stack import guarded
from app.http.middleware.throttle import Throttle
from app.http.routes import health, live, models, speech, transcribe
from app.http.sessions import Sessions
from app.http.uploads import FORM_BYTES
from app.jobs.errors import StorageFailed
from app.studio import Service, Studio

log = logging.getLogger(__name__)

HOUR = 3600.0
LOOK_SECONDS = 1.0
"""How often deadlines are looked at."""
FRESH_SECONDS = 0.5
"""How often it is seen which tokens were made and revoked."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page asks of the app that it is part of."""

    clean_up: Callable[[], None]
    """To be called once an hour. Raises OSError."""


def create_studio(studio: Studio, accounts: Accounts, add_page: Callable[[FastAPI, Studio], Page]) -> FastAPI:
    """Everything behind the port, over the given engines and stores. `add_page` mounts the page at `/`."""
    # Here, because the speech service is to start fast: they are a third of what its start would import.
    from app.http.routes import corrections, files, images, jobs, legacy, library, metrics, presets, transcripts

    settings = studio.settings
    chores: list[Callable[[], None]] = []
    running: list[Callable[[], AbstractAsyncContextManager[None]]] = []
    app = _app(
        studio,
        "Carrot Studio",
        "Avatars, hero images and transcription. The page is at `/`, Gradio's own API at `/?view=api`.",
        (
            health.router,
            metrics.router,
            legacy.router,
            images.router,
            speech.router,
            transcribe.router,
            live.router,
            models.router,
            library.router,
            jobs.router,
            transcripts.router,
            corrections.router,
            presets.router,
            files.router,
        ),
        accounts,
        chores,
        running,
    )
    add_docs(app)
    if settings.microphone:
        from app.http.routes import microphones
        from app.microphone import Microphones

        app.state.microphones = Microphones()
        app.include_router(microphones.router)
    if settings.mcp:
        from app.http.mcp import add_mcp

        running.append(add_mcp(app, studio))
    # A proxy may ask us by another name than browsers know it by.
    public = () if settings.public_url is None else (settings.public_url,)
    sessions, throttle, login_page = Sessions(accounts, studio.signer, public), Throttle(), LoginPage()
    add_login(app, sessions, throttle, login_page)
    # Last, because it takes every path that is left.
    page = add_page(app, studio)
    chores.append(page.clean_up)
    guarded(
        app,
        accounts=accounts,
        hosts=settings.trusted_hosts,
        origins=(*settings.allowed_origins, *public),
        max_bytes=studio.max_upload_bytes + FORM_BYTES,
        exempt=frozenset({"/health/live", LOGIN, LOGOUT}),
        throttle=throttle,
        sessions=sessions,
        page=login_page,
        links=FileLinks(studio.signer),
        standings=studio.queue.standings,
        proxies=settings.trusted_proxies,
        public_url=settings.public_url,
    )
    return app


def create_transcriber(service: Service, accounts: Accounts, hosts: tuple[str, ...]) -> FastAPI:
    """The speech service. `hosts`: as for SiteGuard."""
    app = _app(
        service,
        "Carrot Studio transcription",
        "Speech to text in OpenAI's shape.",
        (health.router, speech.router, transcribe.router, live.router, models.router),
        accounts,
        [],
        [],
    )
    guarded(
        app,
        accounts=accounts,
        hosts=hosts,
        origins=(),
        max_bytes=service.max_upload_bytes + FORM_BYTES,
        exempt=health.PROBES,
    )
    return app


def _app(
    service: Service,
    title: str,
    description: str,
    routers: tuple[APIRouter, ...],
    accounts: Accounts,
    chores: Sequence[Callable[[], None]],
    running: Sequence[Callable[[], AbstractAsyncContextManager[None]]],
) -> FastAPI:
    """An app that starts the service, looks after it, and closes it. `chores` are done once an hour; `running` is what
    is to be entered meanwhile."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        # Two, because a slow disk that holds up the jobs must not hold up that a token is revoked.
        tasks = [asyncio.create_task(_look_after(service, chores)), asyncio.create_task(_keep_fresh(accounts))]
        try:
            async with AsyncExitStack() as entered:
                for part in running:
                    await entered.enter_async_context(part())
                yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await run_blocking(service.close)

    app = FastAPI(
        title=title, version=version(), description=description, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.service = service
    install_error_handlers(app)
    for router in routers:
        app.include_router(router)
    return app


async def _keep_fresh(accounts: Accounts) -> None:
    while True:
        await run_blocking(accounts.refresh)
        await asyncio.sleep(FRESH_SECONDS)


async def _look_after(service: Service, chores: Sequence[Callable[[], None]]) -> None:
    cleaned_at = -HOUR
    clock = asyncio.get_running_loop().time
    while True:
        await run_blocking(service.queue.look_after)
        if clock() - cleaned_at >= HOUR:
            cleaned_at = clock()
            await run_blocking(_delete_what_is_old, service, chores)
        await asyncio.sleep(LOOK_SECONDS)


def _delete_what_is_old(service: Service, chores: Sequence[Callable[[], None]]) -> None:
    """Old jobs, and what Gradio was lent to show. What fails now may work an hour later, when the disk has room."""
    try:
        if service.retention_seconds:
            service.queue.library.prune(service.retention_seconds)
        for chore in chores:
            chore()
    except StorageFailed as problem:
        log.error("old jobs could not be deleted: %s", problem)
    except OSError as error:
        log.error("old files of Gradio's cache could not be deleted: %s", error.strerror)
