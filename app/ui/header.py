"""The top of the page: the product's name, whether the models are ready, and the way to Status."""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import gradio as gr

from app.concurrency import run_blocking
from app.http.login import LOGOUT
from app.http.sessions import COOKIE
from app.i18n.texts import built, say
from app.jobs.store.outbox import Backlog
from app.jobs.worker import WorkerState, WorkerStatus
from app.studio import Studio
from app.ui.account import account_of
from app.ui.status import is_late, status_drawer, undelivered_words, worker_words
from app.ui.work import QUIET

LOGO = Path(__file__).parent / "static" / "carrot.svg"
LOOK_SECONDS = 0.5
"""How often the page looks whether a model has loaded."""

BACKLOG_SECONDS = 60.0
"""How often an open page looks for what waits to be delivered."""


def header(studio: Studio) -> None:
    """Lay the header out and keep its lights right until every model is ready or has failed."""
    with gr.Row(elem_id="header"):
        gr.HTML(f'<div class="brand">{LOGO.read_text()}<h1>Carrot Studio</h1></div>', elem_id="brand")
        lights = gr.HTML(built(lambda: lights_html(studio.status())), elem_id="lights")
        status_drawer(studio)
        account = gr.HTML("", elem_id="account", visible=False)

    async def watch() -> AsyncIterator[str]:
        shown = ""
        backlogs = await run_blocking(studio.queue.outbox.backlogs)
        while True:
            workers = studio.status()
            now = lights_html(workers, backlogs)
            if now != shown:
                yield now
            shown = now
            if studio.queue.draining or all(worker.state is not WorkerState.LOADING for worker in workers):
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def look() -> str:
        return lights_html(studio.status(), await run_blocking(studio.queue.outbox.backlogs))

    def who(request: gr.Request) -> gr.HTML:
        logged_in = COOKIE in request.cookies
        return gr.HTML(account_html(account_of(request)), visible=True) if logged_in else gr.HTML(visible=False)

    gr.on([gr.context.Context.root_block.load], watch, None, lights, **QUIET)
    gr.Timer(BACKLOG_SECONDS).tick(look, None, lights, **QUIET)
    gr.on([gr.context.Context.root_block.load], who, None, account, **QUIET)


def account_html(account: str) -> str:
    """Who has logged in, and the way out."""
    return (
        f'<form class="account" method="post" action="{LOGOUT}"><span>{html.escape(account)}</span>'
        f"<button>{say('Log out')}</button></form>"
    )


def lights_html(workers: Sequence[WorkerStatus], backlogs: Sequence[Backlog] = ()) -> str:
    """A light for each model, and one for each way to tell of jobs that does not go on as it should."""
    by_name = {worker.name: worker for worker in workers}
    lights = [
        _light(say("Images"), worker_words(by_name["image"]), by_name["image"].state.value),
        _light(say("Speech"), worker_words(by_name["speech"]), by_name["speech"].state.value),
        *(
            _light(backlog.deliverer.capitalize(), undelivered_words(backlog), "failed")
            for backlog in backlogs
            if is_late(backlog)
        ),
    ]
    return f'<div class="lights" role="status">{"".join(lights)}</div>'


def _light(what: str, state: str, look: str) -> str:
    return (
        f'<span class="light {look}"><i></i><span class="what">{html.escape(what)}</span>'
        f'<span class="state">{html.escape(state)}</span></span>'
    )
