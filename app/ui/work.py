"""What every tab does with a job: start it, follow it, cancel it, find it again after a reload."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from app.concurrency import run_blocking
from app.i18n.texts import say
from app.jobs.errors import Interrupted, JobNotFound
from app.jobs.live import JobEvent
from app.jobs.model import Job, JobState
from app.jobs.queue import Queue
from app.ui.account import account_for, account_of
from app.ui.progress import AGAIN, ended_html, note_html, progress_html, restarting_html
from engines.events import Preview, SegmentHeard
from engines.speech.paragraphs import ParagraphRule

FRAME_SECONDS = 0.2
"""Shortest time between two updates of the page: more than ten a second help nobody."""

END_SECONDS = 2.0
"""Longest wait for a page to be done with the jobs that it found again."""

QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "show_progress_on": [],
    "trigger_mode": "always_last",
}
"""Every event of the page: no endpoint for clients, no overlay over what a person reads. An overlay that is only hidden
is told of each step all the same, on each component that the event may change.

What is pressed while the same event is under way is done after it, with the values of then, and is not forgotten, which
is Gradio's default. Its `gr.SelectData` would be the first press's again: what was pressed has to be a value.
"""

ONCE: dict[str, Any] = QUIET | {"trigger_mode": "once"}
"""For what must not be done twice when it is pressed twice."""

SENT = "() => ({ __type__: 'update', interactive: false })"
"""Switches the main button off when it is pressed. Over a slow line it takes half a second to see anything else."""

FREE = "() => [true, false].map((interactive) => ({ __type__: 'update', interactive }))"
"""Switches the main button on and Cancel off, in the browser: over a slow line the studio would do it late."""

Values = dict[Any, Any]
"""What an event gets: values keyed by component."""

Updates = dict[Any, Any]
"""What an event gives: new values keyed by component."""

Refused = tuple[tuple[str, str], ...]
"""Of several files, the names of those that were not taken, and why."""


@dataclass(frozen=True, slots=True)
class Controls:
    """The buttons of a tab, and the job that they are about."""

    tab: str
    """The tab's id, with which the `elem_id`s of its components start."""
    go: gr.Button
    cancel: gr.Button
    again: gr.Button
    """Hidden: the one that is seen is in the line of a failed job, and presses it."""
    jobs: gr.Textbox
    """See `kept_jobs`."""

    def busy(self, busy: bool) -> Updates:
        return {self.go: gr.Button(interactive=not busy), self.cancel: gr.Button(interactive=busy)}


@dataclass(frozen=True, slots=True)
class Started:
    """What a press on the main button began."""

    jobs: tuple[Job, ...]
    updates: Updates
    """What the tab shows from now on."""
    refused: Refused = ()


@dataclass(frozen=True, slots=True)
class Work:
    """What a tab does with a job."""

    kind: str
    controls: Controls
    status: gr.HTML
    submit: Callable[[Values, str], Started]
    """Form values and account -> the jobs. May block."""
    again: Callable[[Sequence[Job], Values, str], Started]
    """Failed jobs, form values and account -> the same jobs once more. May block."""
    show: Callable[[Job], Awaitable[Updates]]
    """A job that has a result -> the tab's new look."""
    recent: Callable[[str], Awaitable[Updates]]
    """Account -> the tab's list of recent jobs."""
    heard: Callable[[str], Updates] = lambda _: {}
    """A transcript as far as it is heard -> what shows it."""
    together: Callable[[tuple[Job, ...], Refused], Updates] = lambda *_: {}
    """Several jobs that were sent at once, and what was refused -> what shows their states."""


def kept_jobs(tab: str) -> gr.Textbox:
    """Ids, with commas, of the jobs that this browser tab sent last on the page's tab `tab`; a reload finds them again.

    Call it outside of the tabs: Gradio has not read what is inside of a closed one when the page is loaded.
    """
    jobs = gr.Textbox(show_label=False, elem_id=f"{tab}-jobs")
    jobs.change(None, jobs, None, js=f"ids => window.studio.keepJobs('{tab}', ids)", **QUIET)
    return jobs


def controls(tab: str, go: str, jobs: gr.Textbox) -> Controls:
    """Lay the buttons out, in the current row; `go` is the main one's label."""
    start = gr.Button(go, variant="primary", scale=3, min_width=120, elem_id=f"{tab}-go")
    cancel = gr.Button(say("Cancel"), interactive=False, scale=1, min_width=84, elem_id=f"{tab}-cancel")
    again = gr.Button(say(AGAIN), elem_id=f"{tab}-again-sent", elem_classes="unseen")
    return Controls(tab, start, cancel, again, jobs)


def wire_work(
    work: Work,
    queue: Queue,
    triggers: list[Any],
    inputs: set[gr.components.Component],
    outputs: list[gr.components.Component],
) -> None:
    """Connect the buttons. `outputs` is everything that the work's functions update."""
    buttons = work.controls
    root = gr.context.Context.root_block

    async def follow(started: Started, account: str) -> AsyncIterator[Updates]:
        ids = [job.id for job in started.jobs]
        yield {**started.updates, buttons.jobs: ",".join(ids)}
        async for updates in _follow(work, queue, ids, account, at_end={}, refused=started.refused):
            yield updates

    resuming: dict[str, _Resuming] = {}

    async def start(values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        await _no_longer(resuming.get(request.session_hash))
        account = account_for(request, work.kind)
        started = await run_blocking(work.submit, values, account)
        async for updates in follow(started, account):
            yield updates

    async def again(values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        await _no_longer(resuming.get(request.session_hash))
        account = account_for(request, work.kind)
        sent = [await queue.get(job_id, account) for job_id in _ids(values[buttons.jobs])]
        failed = [job for job in sent if job.state is JobState.FAILED]
        started = await run_blocking(work.again, failed, values, account)
        async for updates in follow(started, account):
            yield updates

    async def resume(values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        this = resuming[request.session_hash] = _Resuming()
        try:
            async for updates in _until(this.unwanted, found_again(values, account_of(request))):
                yield updates
        finally:
            # Gradio asks for the next update when it has sent the last one: all of them are on their way now.
            this.over.set()
            resuming.pop(request.session_hash, None)

    async def found_again(values: Values, account: str) -> AsyncIterator[Updates]:
        yield await work.recent(account)
        ids = [job_id for job_id in _ids(values[buttons.jobs]) if await _is_known(queue, job_id, account)]
        if ids:
            yield {buttons.jobs: ",".join(ids)}
            async for updates in _follow(work, queue, ids, account, at_end=buttons.busy(False)):
                yield updates

    async def stop(values: Values, request: gr.Request) -> Updates:
        for job_id in _ids(values[buttons.jobs]):
            await queue.cancel(job_id, account_of(request))
        return {buttons.cancel: gr.Button(interactive=False)}

    everything = [*outputs, buttons.go, buttons.cancel, buttons.jobs]
    for pressed, begin, known in (
        (triggers, start, inputs),
        ([buttons.again.click], again, inputs | {buttons.jobs}),
    ):
        # Gradio does these one after the other, each when the one before has ended.
        gr.on(pressed, None, None, [buttons.go], js=SENT, **QUIET)
        gr.on(pressed, None, None, None, js=f"() => window.studio.found('{buttons.tab}')", **QUIET)
        started = gr.on(pressed, begin, known, everything, **ONCE)
        # "once" ignores a press until the browser has seen the event's end, which comes after its last update: a button
        # that this update enabled would do nothing for a moment.
        for ended in (started.then, started.failure):  # Gradio 6.31 does not run `then` after a failure.
            ended(None, None, [buttons.go, buttons.cancel], js=FREE, **QUIET)
    buttons.cancel.click(stop, {buttons.jobs}, [buttons.cancel], **QUIET)
    kept = f"() => window.studio.jobs('{buttons.tab}')"
    resumed = gr.on([root.load], resume, {buttons.jobs}, everything, js=kept, **QUIET)
    for ended in (resumed.then, resumed.failure):
        ended(None, None, None, js=f"() => window.studio.hasFound('{buttons.tab}')", **QUIET)


@dataclass(frozen=True, slots=True)
class _Resuming:
    """A page that has just been loaded, and finds its jobs again."""

    unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


async def _no_longer(resuming: _Resuming | None) -> None:
    """Let nothing of an earlier job come after what is told of the one that somebody starts now."""
    if resuming is not None:
        resuming.unwanted.set()
        # A page that has gone away asks for no further update, and that one's end comes late.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(resuming.over.wait(), END_SECONDS)


async def _until(unwanted: asyncio.Event, updates: AsyncIterator[Updates]) -> AsyncIterator[Updates]:
    """The updates, at most until then."""
    stop = asyncio.create_task(unwanted.wait())
    following: asyncio.Future[Updates] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(updates))
            await asyncio.wait({following, stop}, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                return
            try:
                update = following.result()
            except StopAsyncIteration:
                return
            yield update
    finally:
        stop.cancel()
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _ids(jobs: str | None) -> list[str]:
    return [job_id for job_id in (jobs or "").split(",") if job_id]


async def _is_known(queue: Queue, job_id: str, account: str) -> bool:
    """False for a job that the browser remembers and the studio has deleted."""
    try:
        await queue.get(job_id, account)
    except JobNotFound:
        return False
    return True


async def _follow(
    work: Work, queue: Queue, ids: list[str], account: str, *, at_end: Updates, refused: Refused = ()
) -> AsyncIterator[Updates]:
    """As `_followed`; where the studio stops in the middle, that is said, and the page finds the jobs again."""
    try:
        async for updates in _followed(work, queue, ids, account, at_end=at_end, refused=refused):
            yield updates
    except Interrupted:
        yield {work.status: restarting_html()}


async def _followed(
    work: Work, queue: Queue, ids: list[str], account: str, *, at_end: Updates, refused: Refused
) -> AsyncIterator[Updates]:
    """The tab's changes until the jobs are final, one after another; the last has `at_end`.

    Of several the first result is shown, and the others are there to be chosen.
    """
    several = len(ids) + len(refused) > 1
    shown = False

    async def together() -> Updates:
        return work.together(tuple([await queue.get(job_id, account) for job_id in ids]), refused) if several else {}

    for number, job_id in enumerate(ids, start=1):
        picture, preview = None, ""
        async for known in _frames(_Known(await queue.get(job_id, account)), queue.events(job_id, account)):
            if known.job.final:
                break
            if known.preview is not picture:
                picture = known.preview
                # Encoded here, on a thread, and once for all who look.
                preview = await run_blocking(getattr, picture, "uri") if picture else ""
            # The buttons each time: the browser may merge two updates that come at once, and keep the later one.
            now = {work.status: progress_html(known.job, preview), **work.controls.busy(True), **await together()}
            yield now | (work.heard(known.heard) if known.heard and not shown else {})
        job = known.job
        end = at_end if number == len(ids) else {}
        if job.state is JobState.SUCCEEDED:
            # Somebody may be reading the first one already.
            counted = {work.status: note_html(job, say("{n} of {total} done.", n=number, total=len(ids)), "done")}
            result = counted if shown else await work.show(job)
            shown = True
            yield {**result, **await together(), **await work.recent(account), **end}
            continue
        yield {work.status: ended_html(job, str(work.controls.again.elem_id)), **await together(), **end}


@dataclass(slots=True)
class _Known:
    """What a job's events have told so far."""

    job: Job
    preview: Preview | None = None
    heard: str = ""
    rule: ParagraphRule = field(default_factory=ParagraphRule)

    def add(self, event: JobEvent) -> None:
        self.job = event.job
        if event.told is None:
            # Another state: a run that starts again has drawn and heard nothing yet.
            self.preview, self.heard, self.rule = None, "", ParagraphRule()
        elif isinstance(event.told, Preview):
            self.preview = event.told
        elif isinstance(event.told, SegmentHeard):
            segment = event.told.segment
            self.heard += self.rule.separator(segment) + segment.text


async def _frames(known: _Known, events: AsyncIterator[JobEvent]) -> AsyncIterator[_Known]:
    """What is known after the first event, after all that came since then, and at once after the last."""
    news = asyncio.Event()

    async def read() -> None:
        try:
            async for event in events:
                known.add(event)
                news.set()
        finally:
            news.set()

    reading = asyncio.create_task(read())
    try:
        while not reading.done():
            await news.wait()
            news.clear()
            yield known
            await asyncio.wait({reading}, timeout=FRAME_SECONDS)
        await reading
        yield known
    finally:
        reading.cancel()
