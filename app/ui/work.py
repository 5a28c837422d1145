"""The way of every tab's work: start a job, follow it, cancel it, find it again after a reload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.concurrency import run_blocking
from app.jobs.model import Job, JobNotFound, JobState
from app.jobs.queue import Jobs
from app.ui.owner import owner_of
from app.ui.progress import ended_html, progress_html

FRAME_SECONDS = 0.1
"""Shortest time between two looks at a job: more updates than ten a second help nobody."""

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""Every event of the page: no endpoint for clients, no overlay over what a person reads."""

Values = dict[Any, Any]
"""What an event gets: values keyed by component."""

Updates = dict[Any, Any]
"""What an event gives: new values keyed by component."""


@dataclass(frozen=True, slots=True)
class Controls:
    """The buttons of a tab, and the job that they are about."""

    go: gr.Button
    cancel: gr.Button
    running: gr.BrowserState
    """Id of the job in work, kept by the browser: a reload finds it again."""

    def busy(self, busy: bool) -> Updates:
        return {self.go: gr.Button(interactive=not busy), self.cancel: gr.Button(interactive=busy)}


@dataclass(frozen=True, slots=True)
class Work:
    """What a tab does with a job. The three functions may block."""

    controls: Controls
    status: gr.HTML
    submit: Callable[[Values, str], tuple[Job, Updates]]
    """Form values and owner -> the job, and what the tab shows from now on."""
    show: Callable[[Job], Updates]
    """A job that has a result -> the tab's new look."""
    recent: Callable[[str], Updates]
    """Owner -> the tab's list of recent jobs."""


def controls(tab_id: str, go: str) -> Controls:
    """Lay the buttons out; `go` is the main one's label."""
    with gr.Row(elem_classes="go-row"):
        start = gr.Button(go, variant="primary", scale=3, min_width=160, elem_id=f"{tab_id}-go")
        cancel = gr.Button("Cancel", interactive=False, scale=1, min_width=90, elem_id=f"{tab_id}-cancel")
    # The id is no secret from its own browser, and must be readable after a restart of the studio.
    running = gr.BrowserState(None, storage_key=f"carrot-studio-{tab_id}-job", secret="carrot-studio-16")
    return Controls(start, cancel, running)


def wire_work(
    work: Work,
    jobs: Jobs,
    triggers: list[Any],
    inputs: set[gr.components.Component],
    outputs: list[gr.components.Component],
) -> None:
    """Connect the buttons. `outputs` is everything that the work's functions update."""
    buttons = work.controls

    async def start(values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        owner = owner_of(request)
        job, updates = await run_blocking(work.submit, values, owner)
        yield {**updates, buttons.running: job.id}
        async for updates in _follow(work, jobs, job.id, owner, at_end={}):
            yield updates

    async def resume(values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        owner = owner_of(request)
        yield await run_blocking(work.recent, owner)
        job_id = values[buttons.running]
        if job_id and await run_blocking(_known, jobs, job_id, owner):
            async for updates in _follow(work, jobs, job_id, owner, at_end=buttons.busy(False)):
                yield updates

    async def stop(values: Values, request: gr.Request) -> Updates:
        if job_id := values[buttons.running]:
            await run_blocking(jobs.cancel, job_id, owner_of(request))
        return {buttons.cancel: gr.Button(interactive=False)}

    everything = [*outputs, buttons.go, buttons.cancel, buttons.running]
    started = gr.on(triggers, start, inputs, everything, trigger_mode="once", **QUIET)
    # "once" ignores a press until the browser has seen the event's end, which comes after its last update: a button
    # that this update enabled would do nothing for a moment.
    for ended in (started.then, started.failure):  # Gradio 6.31 does not run `then` after a failure.
        ended(lambda: buttons.busy(False), None, [buttons.go, buttons.cancel], **QUIET)
    buttons.cancel.click(stop, {buttons.running}, [buttons.cancel], **QUIET)
    gr.on([gr.context.Context.root_block.load], resume, {buttons.running}, everything, **QUIET)


def _known(jobs: Jobs, job_id: str, owner: str) -> bool:
    """False for a job that the browser remembers and the studio has deleted."""
    try:
        jobs.get(job_id, owner)
    except JobNotFound:
        return False
    return True


async def _follow(work: Work, jobs: Jobs, job_id: str, owner: str, *, at_end: Updates) -> AsyncIterator[Updates]:
    """The tab's changes until the job is final; the last has `at_end`. Raises JobFailed after it for a failed job."""
    async for job in jobs.watch(job_id, owner):
        if not job.final:
            # The buttons each time: the browser may merge two updates that come at once, and keep the later one.
            yield {work.status: progress_html(job), **work.controls.busy(True)}
            await asyncio.sleep(FRAME_SECONDS)
    idle = {work.controls.running: None, **at_end}
    if job.state is JobState.SUCCEEDED:
        shown = await run_blocking(work.show, job)
        yield {**shown, **await run_blocking(work.recent, owner), **idle}
        return
    yield {work.status: ended_html(job), **idle}
    if job.state is not JobState.CANCELLED:
        job.succeeded()
