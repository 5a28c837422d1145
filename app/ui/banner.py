"""Where a demo model is in use: one line that says so, and the panel that gets the real ones."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.concurrency import run_blocking
from app.disk import free_bytes
from app.downloads import Download, DownloadState
from app.i18n.texts import built, finished, mark, say, say_n
from app.studio import Studio
from app.ui.account import check_admin, is_admin
from app.ui.amounts import percent, size
from app.ui.drawers import drawer
from app.ui.progress import AGAIN
from app.ui.work import QUIET
from engines.errors import InvalidRequest
from engines.weights.store import Installed, State

STAGES = {"download": mark("Fetching"), "verify": mark("Checking"), "unpack": mark("Unpacking")}
NOT_YOURS = mark(
    "Only an account with the scope admin may get models. Whoever runs the studio can: python3 launch.py models pull."
)
SPEECH_IN_USE = mark("In use now.")
PORTRAIT_HERE = mark("Here. Avatars have other backgrounds below their picture.")
SPEECH_HERE = mark("Here. Reload the page, and it stands under Language and model.")


@dataclass(frozen=True, slots=True)
class _Row:
    """A model in the list, with what was done about it since the start."""

    model: Installed
    download: Download | None
    bytes: int
    """About what is to be fetched."""


def banner(studio: Studio) -> None:
    """The line, on pages that are opened while a demo model is in use, and the panel."""
    told = demo_words(studio)
    with gr.Row(elem_id="banner", elem_classes="banner", visible=bool(told)) as line:
        words = gr.HTML(built(lambda: _line(demo_words(studio))), elem_id="banner-words", apply_default_css=False)
        gr.Button(say("Get the real ones"), size="sm", elem_id="models-open", elem_classes="banner-button", scale=0)
    _models_drawer(studio)

    def look() -> tuple[gr.Row, str]:
        told = demo_words(studio)
        return gr.Row(visible=bool(told)), _line(told)

    gr.on([gr.context.Context.root_block.load], look, None, [line, words], **QUIET)


def _line(told: str) -> str:
    return f"<p>{html.escape(told)}</p>"


def demo_words(studio: Studio) -> str:
    """Which demo models are in use and what they can do, from their labels; empty if none is."""
    labels = [info.label for info in (studio.image.info, studio.speech.info) if info.demo]
    limits = [label.partition(": ")[2].partition(",")[0] for label in labels]
    if not labels:
        return ""
    named = say_n("Demo model", "Demo models", len(labels))
    return say("{what}: {limits}.", what=named, limits=", ".join(map(finished, limits))) if all(limits) else f"{named}."


def _models_drawer(studio: Studio) -> None:
    downloads = studio.downloads
    with drawer("models", mark("Real models")) as refresh:
        shown = gr.HTML("", elem_id="models-list", apply_default_css=False)
        speech = [model for model in downloads.offered("speech") if model.state is not State.BUILT_IN]
        with gr.Column(elem_id="models-more", visible=False) as more:
            languages = gr.Dropdown(
                [(_offer(model), model.name) for model in sorted(speech, key=lambda model: model.label)],
                value=[],
                multiselect=True,
                label=say("Speech in other languages"),
                elem_id="models-languages",
            )
            get = gr.Button(say("Get them"), elem_id="models-get")
        with gr.Row(elem_classes="unseen"):
            do = gr.Button("Do", elem_id="models-do", visible="hidden")
            what = gr.Textbox(show_label=False, visible="hidden")

    async def look(request: gr.Request) -> tuple[str, gr.Column]:
        may = is_admin(request)
        return await run_blocking(models_html, studio, may=may), gr.Column(visible=may)

    async def act(what: str, request: gr.Request) -> str:
        check_admin(request)
        verb, _, name = what.partition(" ")
        if verb not in ("get", "pause"):
            raise InvalidRequest("what", say("This page is older than the studio: reload it."))
        await run_blocking(downloads.start if verb == "get" else downloads.pause, name)
        return await run_blocking(models_html, studio, may=True)

    async def get_all(names: list[str] | None, request: gr.Request) -> tuple[str, Any]:
        check_admin(request)
        for name in names or []:
            await run_blocking(downloads.start, name)
        return await run_blocking(models_html, studio, may=True), []

    refresh.click(look, None, [shown, more], **QUIET)
    do.click(act, what, shown, js="() => window.modelToDo", **QUIET)
    get.click(get_all, languages, [shown, languages], **QUIET)


def models_html(studio: Studio, *, may: bool) -> str:
    """The list: the models that we name ourselves, and what was asked for or is here. Reads the disk."""
    downloads = studio.downloads
    known = downloads.known()
    offered = downloads.offered("image", "speech", "portrait")
    # Of the many that publishers list, only what is asked for.
    always = {model.name for model in offered} - downloads.store.registry.public
    rows = [
        _Row(model, known.get(model.name), downloads.bytes_of(model.name))
        for model in offered
        if model.name in always or model.name in known or model.state not in (State.MISSING, State.BUILT_IN)
    ]
    free = free_bytes(downloads.store.models_dir)
    live = " data-live" if any(download.state is DownloadState.RUNNING for download in known.values()) else ""
    room = say("{size} are free for models.", size=size(free))
    told = f"<p>{room}</p>" if may else f'<p class="why">{say(NOT_YOURS)}</p>'
    return f'<div class="models"{live}>{told}{"".join(_row_html(studio, row, free, may=may) for row in rows)}</div>'


def _row_html(studio: Studio, row: _Row, free: int, *, may: bool) -> str:
    model, download = row.model, row.download
    name = html.escape(model.name, quote=True)
    licence = say("licence: {licence}", licence=model.licence)
    about = f"{size(row.bytes)} · {licence}" if row.bytes else licence
    state, verb, action = _state(studio, row)
    here = model.state in (State.VERIFIED, State.BUILT_IN)
    running = download is not None and download.state is DownloadState.RUNNING
    lacks = not here and not running and row.bytes > free
    if lacks:
        state = say("There is too little room: {size} more must be free.", size=size(row.bytes - free))
    failed = lacks or (download is not None and download.state is DownloadState.FAILED and not here)
    stage = "running" if running else "here" if here else "failed" if failed else ""
    progress = download.progress if running and download is not None else None
    bar = f'<progress value="{progress.fraction:.3f}" aria-label="{name}"></progress>' if progress else ""
    button = (
        f'<button type="button" data-model="{verb} {name}">{action}<span class="off-page"> {name}</span></button>'
        if may and action and not lacks
        else ""
    )
    return (
        f'<section class="model" id="model-{name}" data-state="{stage}">'
        f"<div><h3>{html.escape(finished(model.label))}</h3><p>{html.escape(about)}</p>"
        f'<p class="{"why" if failed else "state"}" role="status">{html.escape(state)}</p>{bar}</div>{button}</section>'
    )


def _state(studio: Studio, row: _Row) -> tuple[str, str, str]:
    """A sentence, what the button does, and what it says; empty for no button."""
    model, download = row.model, row.download
    kind = studio.downloads.store.registry.find(model.name).kind
    image = kind == "image"
    if download is not None and download.state is DownloadState.RUNNING:
        told = download.progress
        if told is None:
            return say("Starting…"), "pause", say("Pause")
        stage = say(STAGES[told.stage]) if told.stage in STAGES else told.stage.capitalize()
        how_far = say("{stage}: {part} of {total}", stage=stage, part=percent(told.fraction), total=size(told.total))
        return how_far, "pause", say("Pause")
    if model.state in (State.VERIFIED, State.BUILT_IN):
        if image:
            advice = f" {finished(studio.downloads.advice)}" if studio.image.info.demo else ""
            return say("Here.") + advice, "", ""
        if kind == "portrait":
            return say(PORTRAIT_HERE), "", ""
        return say(SPEECH_IN_USE if studio.speech.info.name == model.name else SPEECH_HERE), "", ""
    if download is not None and download.state is DownloadState.PAUSED:
        return say("Paused. What has arrived is kept."), "get", say("Continue")
    if download is not None and download.state is DownloadState.FAILED:
        return finished(download.problem), "get", say(AGAIN)
    if model.state is State.BY_HAND:
        return say("A folder of this name was put here by hand."), "", ""
    return finished(studio.downloads.advice) if image else "", "get", say("Get it")


def _offer(model: Installed) -> str:
    def words() -> str:
        fetched = size(model.download_bytes) if model.download_bytes else say("size unknown")
        return f"{finished(model.label)} · {fetched} · {model.licence}"

    return built(words)
