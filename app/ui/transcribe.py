"""The Transcribe tab: a sound or video file, or the microphone, to text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from app.jobs.model import Job
from app.jobs.queue import Submission
from app.studio import Studio
from app.ui.live import LivePanel, live_panel, wire_live
from app.ui.transcript_view import (
    TranscriptView,
    cleared,
    files_html,
    heard_html,
    recent_transcripts,
    shown_transcript,
    transcript_view,
)
from app.ui.work import QUIET, Controls, Started, Updates, Values, Work, controls, wire_work
from app.work.speech import TranscriptionRequest
from engines.errors import InvalidRequest, StudioError
from engines.requests import parse
from engines.results import SpeechModelInfo

NOT_SECURE = (
    '<div class="insecure-note">Your browser records only over https or on localhost. To record, open this page '
    "over https or through an SSH tunnel (as http://localhost:…); uploading a file works as it is.</div>"
)
"""Shown by the style sheet where the head's script finds that the page is not a secure context."""


@dataclass(frozen=True, slots=True)
class TranscribeTab:
    """The tab's parts."""

    upload: gr.File
    live: LivePanel
    language: gr.Dropdown
    controls: Controls
    view: TranscriptView


def transcribe_tab(studio: Studio, running: gr.BrowserState) -> None:
    """Build the tab inside the current `gr.Tabs`. `running`: see `running_job`."""
    info = studio.speech.info
    with gr.Tab("Transcribe", id="transcribe", elem_id="transcribe-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            upload, live, upload_tab, record_tab = _sources()
            language = gr.Dropdown(
                [(_language_label(model), model.language) for model in (info, *info.others)],
                value=info.language,
                label="Language and model",
                interactive=True,
                elem_id="transcribe-language",
            )
            buttons = controls("transcribe", "Transcribe", running)
        with gr.Column(scale=7, min_width=340, elem_classes="result-column"):
            view = transcript_view()
    tab = TranscribeTab(upload, live, language, buttons, view)
    # Who speaks has one button, which also ends.
    for inner, visible in ((upload_tab, True), (record_tab, False)):
        inner.select(partial(_show_buttons, buttons, visible=visible), None, [buttons.go, buttons.cancel], **QUIET)
    _wire(tab, studio)


def _show_buttons(buttons: Controls, *, visible: bool) -> Updates:
    return {buttons.go: gr.Button(visible=visible), buttons.cancel: gr.Button(visible=visible)}


def _language_label(info: SpeechModelInfo) -> str:
    return f"{info.language} · {info.name}{' (demo model)' if info.demo else ''}"


def _sources() -> tuple[gr.File, LivePanel, gr.Tab, gr.Tab]:
    """Two inner tabs. A file goes through gr.File, which takes every container and converts none."""
    with gr.Tabs(elem_classes="inner-tabs"):
        with gr.Tab("Upload a file", id="upload", elem_id="transcribe-upload-tab") as upload_tab:
            upload = gr.File(
                label="Audio or video",
                show_label=False,
                file_count="multiple",
                type="filepath",
                height=170,
                elem_id="transcribe-file",
            )
            gr.HTML('<p class="hint">One file or several: WAV, MP3, M4A, Ogg, WebM, MP4 and most others.</p>')
        with gr.Tab("Record", id="record", elem_id="transcribe-record-tab") as record_tab:
            gr.HTML(NOT_SECURE)
            live = live_panel()
    return upload, live, upload_tab, record_tab


def _wire(tab: TranscribeTab, studio: Studio) -> None:
    view = tab.view

    async def show(job: Job) -> Updates:
        return shown_transcript(view, job)

    work = Work(
        "transcription",
        tab.controls,
        view.status,
        submit=lambda values, account: _submit(tab, studio, values, account),
        show=show,
        recent=lambda account: recent_transcripts(view, studio, account),
        heard=lambda text: {view.heard: heard_html(text)},
        together=lambda jobs, refused: {view.files: files_html(jobs, refused)},
    )
    inputs = {tab.upload, tab.language}
    wire_work(work, studio.queue, [tab.controls.go.click], inputs, view.components)
    wire_live(tab.live, view, studio)


def _submit(tab: TranscribeTab, studio: Studio, values: Values, account: str) -> Started:
    """A job for each file. Raises InvalidRequest without one, and what the first one raises if none is taken."""
    paths = [Path(path) for path in values[tab.upload] or []]
    if not paths:
        raise InvalidRequest("audio", "Choose an audio or video file first.")
    jobs: list[Job] = []
    refused: list[tuple[str, str]] = []
    for path in paths:
        try:
            jobs.append(_submit_one(studio, path, values[tab.language], account))
        except StudioError as error:
            if len(paths) == 1:
                raise
            refused.append((path.name, str(error)))
    if not jobs:
        raise InvalidRequest("audio", refused[0][1])
    return Started(tuple(jobs), cleared(tab.view), tuple(refused))


def _submit_one(studio: Studio, path: Path, language: str, account: str) -> Job:
    # Kept, because the page plays it beside its text.
    request = parse(TranscriptionRequest, {"filename": path.name, "language": language, "keep_audio": True})
    file = studio.files.take(path, path.name)
    return studio.queue.submit(Submission("transcription", request, account, {"audio": file}))
