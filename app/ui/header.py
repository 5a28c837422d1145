"""The top of the page: the product's name, the models in use, and whether they are ready."""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import gradio as gr

from app.concurrency import run_blocking
from app.http.login import LOGOUT
from app.http.sessions import COOKIE
from app.jobs.store.outbox import Backlog
from app.jobs.worker import WorkerState, WorkerStatus
from app.studio import Studio
from app.ui.account import account_of
from app.ui.work import QUIET

LOGO = Path(__file__).parent / "static" / "carrot.svg"
LOOK_SECONDS = 0.5
"""How often the page looks whether a model has loaded."""

LATE_SECONDS = 60.0
"""What has waited for so long to be delivered is told on the page."""

BACKLOG_SECONDS = 60.0
"""How often an open page looks for that."""


def header(studio: Studio) -> None:
    """Lay the header out and keep its lights right until every model is ready or has failed."""
    with gr.Row(elem_id="header"):
        gr.HTML(f'<div class="brand">{LOGO.read_text()}<h1>Carrot Studio</h1></div>', elem_id="brand")
        lights = gr.HTML(lights_html(studio, studio.status()), elem_id="lights")
        account = gr.HTML("", elem_id="account", visible=False)

    async def watch() -> AsyncIterator[str]:
        shown = ""
        backlogs = await run_blocking(studio.queue.outbox.backlogs)
        while True:
            workers = studio.status()
            now = lights_html(studio, workers, backlogs)
            if now != shown:
                yield now
            shown = now
            if studio.queue.draining or all(worker.state is not WorkerState.LOADING for worker in workers):
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def look() -> str:
        return lights_html(studio, studio.status(), await run_blocking(studio.queue.outbox.backlogs))

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
        "<button>Log out</button></form>"
    )


def lights_html(studio: Studio, workers: list[WorkerStatus], backlogs: Sequence[Backlog] = ()) -> str:
    by_name = {worker.name: worker for worker in workers}
    image, speech = studio.image.info, studio.speech.info
    return (
        f'<div class="lights" role="status">{_light("Images", image.label, image.demo, by_name["image"])}'
        f"{_light('Speech', speech.label, speech.demo, by_name['speech'])}"
        f"{''.join(map(_undelivered, backlogs))}</div>"
    )


def _undelivered(backlog: Backlog) -> str:
    """Nothing as long as it goes on as it should."""
    if not backlog.dead and backlog.oldest_seconds < LATE_SECONDS:
        return ""
    told = ", ".join(
        f"{count} {what}" for count, what in ((backlog.waiting, "waiting"), (backlog.dead, "given up")) if count
    )
    return (
        f'<span class="light failed" title="{html.escape(backlog.problem, quote=True)}"><i></i>'
        f'<span class="what">{html.escape(backlog.deliverer.capitalize())}</span>'
        f'<em class="why">{told}: {html.escape(backlog.problem or "not delivered yet")}</em></span>'
    )


def _light(what: str, label: str, demo: bool, worker: WorkerStatus) -> str:
    """A dot, the model, a badge if it is a demo, and the state in words."""
    names = {WorkerState.LOADING: "loading…", WorkerState.READY: "ready", WorkerState.FAILED: "not available"}
    state = names[worker.state]
    if worker.loading is not None and worker.loading.stage != "load":
        state = f"{worker.loading.stage} {worker.loading.fraction:.0%}"
    tip = html.escape(worker.problem or label, quote=True)
    badge = f'<b class="demo" title="{html.escape(label, quote=True)}">Demo model</b>' if demo else ""
    problem = f'<em class="why">{html.escape(worker.problem)}</em>' if worker.problem else ""
    return (
        f'<span class="light {worker.state.value}" title="{tip}"><i></i><span class="what">{what}</span>'
        f'<span class="label">{html.escape(label)}</span>{badge}<span class="state">{state}</span>{problem}</span>'
    )
