"""The Transcribe tab: a sound or video file, or the microphone, to text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.jobs.model import Job
from app.jobs.queue import Submission
from app.studio import Studio
from app.ui.account import account_of
from app.ui.transcript_view import (
    TranscriptView,
    cleared,
    recent_transcripts,
    shown_transcript,
    transcript_view,
)
from app.ui.work import QUIET, Controls, Updates, Values, Work, controls, wire_work
from app.work.speech import TranscriptionRequest
from engines.errors import InvalidRequest
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
    recording: gr.Audio
    source: gr.State
    """upload or record: which of the two the person has before them."""
    language: gr.Dropdown
    controls: Controls
    view: TranscriptView


def transcribe_tab(studio: Studio, running: gr.BrowserState) -> None:
    """Build the tab inside the current `gr.Tabs`. `running`: see `running_job`."""
    info = studio.speech.info
    with gr.Tab("Transcribe", id="transcribe", elem_id="transcribe-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            upload, recording, source = _sources()
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
    tab = TranscribeTab(upload, recording, source, language, buttons, view)
    _wire(tab, studio)


def _language_label(info: SpeechModelInfo) -> str:
    return f"{info.language} · {info.name}{' (demo model)' if info.demo else ''}"


def _sources() -> tuple[gr.File, gr.Audio, gr.State]:
    """Two inner tabs. A file goes through gr.File, which takes every container and converts none."""
    source = gr.State("upload")
    with gr.Tabs(elem_classes="inner-tabs"):
        with gr.Tab("Upload a file", id="upload", elem_id="transcribe-upload-tab") as upload_tab:
            upload = gr.File(
                label="Audio or video", show_label=False, type="filepath", height=170, elem_id="transcribe-file"
            )
            gr.HTML('<p class="hint">WAV, MP3, M4A, Ogg, WebM, MP4 and most others.</p>')
        with gr.Tab("Record", id="record", elem_id="transcribe-record-tab") as record_tab:
            gr.HTML(NOT_SECURE)
            recording = gr.Audio(
                label="Recording",
                show_label=False,
                sources=["microphone"],
                type="filepath",
                buttons=[],
                elem_id="transcribe-recording",
            )
    upload_tab.select(lambda: "upload", None, source, **QUIET)
    record_tab.select(lambda: "record", None, source, **QUIET)
    return upload, recording, source


def _wire(tab: TranscribeTab, studio: Studio) -> None:
    view = tab.view

    def submit(values: Values, account: str) -> tuple[Job, Updates]:
        return _submit(tab, studio, values, account), cleared(view)

    async def open_recent(values: Values, event: gr.SelectData, request: gr.Request) -> Updates:
        job_id = values[view.recent_ids][int(event.index[0])]
        job = await studio.queue.get(job_id, account_of(request))
        return await shown_transcript(view, studio, job)

    work = Work(
        "transcription",
        tab.controls,
        view.status,
        submit,
        show=lambda job: shown_transcript(view, studio, job),
        recent=lambda account: recent_transcripts(view, studio, account),
        text=view.text,
    )
    inputs = {tab.upload, tab.recording, tab.source, tab.language}
    wire_work(work, studio.queue, [tab.controls.go.click], inputs, view.components)
    view.recent.select(open_recent, {view.recent_ids}, view.components, **QUIET)


def _submit(tab: TranscribeTab, studio: Studio, values: Values, account: str) -> Job:
    recorded = values[tab.source] == "record"
    path = values[tab.recording if recorded else tab.upload]
    if not path:
        todo = "Record something first." if recorded else "Choose an audio or video file first."
        raise InvalidRequest("audio", todo)
    name = "recording" if recorded else Path(path).name
    request = parse(TranscriptionRequest, {"filename": name, "language": values[tab.language]})
    file = studio.files.take(Path(path), name)
    return studio.queue.submit(Submission("transcription", request, account, {"audio": file}))
