"""Status: what the studio runs on and how it does, in full; the header has room for two words."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import gradio as gr

from app.concurrency import run_blocking
from app.disk import free_bytes
from app.i18n.texts import finished, mark, say
from app.jobs.model import Job
from app.jobs.store.outbox import Backlog
from app.jobs.worker import WorkerState, WorkerStatus
from app.presets import KINDS
from app.studio import Studio
from app.ui.account import account_of
from app.ui.amounts import number, percent, size
from app.ui.drawers import drawer
from app.ui.progress import told
from app.ui.work import QUIET
from app.work.image import PicturesResult
from engines.devices import memory_in_use

LATE_SECONDS = 60.0
"""What has waited for so long to be delivered is told on the page."""

STATES = {
    WorkerState.LOADING: mark("loading…"),
    WorkerState.READY: mark("ready"),
    WorkerState.FAILED: mark("not available"),
}
LOADING = {"download": mark("download"), "verify": mark("verify"), "unpack": mark("unpack")}

Row = tuple[str, str]
"""What it is, and how it is, as text."""


def status_drawer(studio: Studio) -> None:
    """The button, and the panel that it opens."""
    gr.Button(say("Status"), size="sm", elem_id="status-open", elem_classes="header-button", min_width=80, scale=0)
    with drawer("status", mark("Status")) as refresh:
        shown = gr.HTML("", elem_id="status-list", apply_default_css=False)

    async def look(request: gr.Request) -> str:
        account = account_of(request)
        newest = [job for kind in KINDS for job in await studio.queue.library.recent(account, kind, 1)]
        last = max(newest, key=lambda job: job.created_at, default=None)
        return await run_blocking(status_html, studio, last)

    refresh.click(look, None, shown, **QUIET)


def worker_words(worker: WorkerStatus) -> str:
    """A worker's state in a word or two."""
    if worker.loading is not None and worker.loading.stage != "load":
        stage = worker.loading.stage
        return f"{say(LOADING.get(stage, stage))} {percent(worker.loading.fraction)}"
    return say(STATES[worker.state])


def is_late(backlog: Backlog) -> bool:
    """Whether deliveries do not go on as they should."""
    return backlog.dead > 0 or backlog.oldest_seconds >= LATE_SECONDS


def undelivered_words(backlog: Backlog) -> str:
    """How many deliveries wait, and were given up."""
    counts = ((backlog.waiting, mark("{n} waiting")), (backlog.dead, mark("{n} given up")))
    return ", ".join(say(what, n=count) for count, what in counts if count)


def status_html(studio: Studio, last: Job | None) -> str:
    """Everything, as lists of terms. Reads the disk. `last`: the caller's newest pictures."""
    workers = {worker.name: worker for worker in studio.status()}
    image, speech = studio.image.info, studio.speech.info
    sections = [
        _section(say("Images"), workers["image"], [(say("Model"), finished(image.label)), *_speed(studio, last)]),
        _section(
            say("Speech"),
            workers["speech"],
            [
                (say("Model"), finished(speech.label)),
                (say("Where"), "Cloud Run" if speech.where == "cloud-run" else say("this machine")),
                *(
                    [(say("Also for"), ", ".join(sorted({other.language for other in speech.others})))]
                    * bool(speech.others)
                ),
            ],
        ),
        _list(say("Machine"), _machine(studio)),
        *_deliveries(studio.queue.outbox.backlogs()),
    ]
    return f'<div class="status" data-live>{"".join(sections)}</div>'


def _section(title: str, worker: WorkerStatus, rows: Iterable[Row]) -> str:
    queue = say("{running} in work, {waiting} waiting", running=worker.running, waiting=worker.waiting)
    problem = told(worker.problem, "p", "why") if worker.problem else ""
    return _list(
        title, [(say("State"), worker_words(worker)), *rows, (say("Jobs"), queue)], worker.state.value, problem
    )


def _list(title: str, rows: Iterable[Row], look: str = "", below: str = "") -> str:
    light = f'<i class="{look}"></i>' if look else ""
    terms = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd></div>" for name, text in rows)
    return f"<section><h3>{light}{html.escape(title)}</h3>{below}<dl>{terms}</dl></section>"


def _machine(studio: Studio) -> list[Row]:
    device, settings = studio.device, studio.settings
    used = memory_in_use(device)
    whose = say("GPU memory") if device.name.startswith("cuda") else say("Memory of the studio")
    memory = [(whose, say("{used} of {total}", used=size(used), total=size(device.memory)))] if used else []
    return [
        (say("Device"), f"{device.label} ({device.name})"),
        *memory,
        (say("Free for results"), size(free_bytes(settings.data_dir))),
        (say("Free for models"), size(free_bytes(settings.models_dir))),
    ]


def _speed(studio: Studio, last: Job | None) -> list[Row]:
    """What the last pictures took, and what that cost where the machine's price is known."""
    if last is None or not isinstance(last.result, PicturesResult):
        return []
    result = last.result
    each = result.seconds / len(result.images)
    steps = result.images[0].recipe.num_inference_steps
    took = say("{seconds} s, {speed} steps a second", seconds=number(each), speed=number(steps / each)) if each else ""
    rows: list[Row] = [(say("Last picture"), took or say("no time at all"))]
    price = studio.settings.price_per_hour
    if price:
        cost = say("${cost} at ${price} an hour", cost=number(each * price / 3600, 5), price=f"{price:g}")
        rows.append((say("Its cost"), cost))
    return rows


def _deliveries(backlogs: Sequence[Backlog]) -> list[str]:
    return [
        _list(
            say("{service} deliveries", service=backlog.deliverer.capitalize()),
            [
                (say("State"), undelivered_words(backlog) or say("all delivered")),
                *([(say("Last problem"), finished(backlog.problem))] if backlog.problem else []),
            ],
            "failed" if is_late(backlog) else "ready",
        )
        for backlog in backlogs
    ]
