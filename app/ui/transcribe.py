"""The Transcribe tab: a sound or video file, or the microphone, to text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.concurrency import run_blocking
from app.i18n.texts import built, mark, say
from app.jobs.model import Job
from app.jobs.queue import Submission
from app.studio import Studio
from app.ui.corrections import corrections_list
from app.ui.examples import example_recording, wire_recording
from app.ui.files import served
from app.ui.live import LivePanel, live_panel, wire_live
from app.ui.progress import field_note_html
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

NOT_SECURE = mark(
    "Your browser records only over https or on localhost. To record, open this page over https or through an SSH "
    "tunnel (as http://localhost:…); uploading a file works as it is."
)
"""Shown by the style sheet where the head's script finds that the page is not a secure context."""

NOT_KEPT = mark("The recording was not kept: choose it again.")


KINDS = mark("One file or several: WAV, MP3, M4A, Ogg, WebM, MP4 and most others.")


@dataclass(frozen=True, slots=True)
class TranscribeTab:
    """The tab's parts."""

    upload: gr.File
    live: LivePanel
    language: gr.Dropdown
    vocabulary: gr.Textbox
    speakers: gr.Checkbox
    controls: Controls
    view: TranscriptView

    @property
    def fields(self) -> list[gr.components.Component]:
        """Everything that `file_again` gives new values for."""
        return [self.upload, self.language, self.view.status]


def transcribe_tab(studio: Studio, jobs: gr.Textbox) -> TranscribeTab:
    """Build the tab inside the current `gr.Tabs`. `jobs`: see `kept_jobs`."""
    info = studio.speech.info
    with gr.Tab(say("Transcribe"), id="transcribe", elem_id="transcribe-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            upload, live, upload_tab, record_tab = _sources(studio)
            language = gr.Dropdown(
                _languages(info),
                value=info.language,
                label=say("Language and model"),
                interactive=True,
                elem_id="transcribe-language",
            )
            vocabulary, speakers = _options()
            corrections_list()
            with gr.Row(elem_classes="go-row"):
                buttons = controls("transcribe", say("Transcribe"), jobs)
        with gr.Column(scale=7, min_width=340, elem_classes="result-column"):
            example = example_recording(studio)
            view = transcript_view()
    tab = TranscribeTab(upload, live, language, vocabulary, speakers, buttons, view)
    # Who speaks has one button, which also ends.
    for inner, visible in ((upload_tab, "true"), (record_tab, "false")):
        shown = f'() => Array(2).fill({{ __type__: "update", visible: {visible} }})'
        inner.select(None, None, [buttons.go, buttons.cancel], js=shown, **QUIET)
    _wire(tab, studio)
    if example is not None:
        wire_recording(example, upload)
    gr.on(
        [gr.context.Context.root_block.load],
        lambda: gr.Dropdown(choices=_languages(studio.speech.info)),
        None,
        language,
        **QUIET,
    )
    return tab


def _languages(info: SpeechModelInfo) -> list[tuple[str, str]]:
    """Labels and languages, the default first; asked for at each load, because models may be added."""
    return [(_language_label(model), model.language) for model in (info, *info.others)]


async def file_again(tab: TranscribeTab, studio: Studio, job: Job) -> Updates:
    """The tab's form with the recording of a transcript, where that was kept, and its language."""
    assert isinstance(job.request, TranscriptionRequest)
    sound = [file for file in job.files if file.id == f"{job.id}-kept_audio" or file.media_type.startswith("audio/")]
    missing = {} if sound else {tab.view.status: field_note_html(say(NOT_KEPT), "transcribe-file")}
    paths = [await run_blocking(served, studio, job, file) for file in sound[:1]]
    info = studio.speech.info
    known = job.request.language in {model.language for model in (info, *info.others)}
    return {tab.upload: paths or None, tab.language: job.request.language if known else info.language, **missing}


def _options() -> tuple[gr.Textbox, gr.Checkbox]:
    """What few need, folded. The script of the Record half reads the vocabulary too."""
    with gr.Accordion(say("Vocabulary and speakers"), open=False, elem_id="transcribe-options"):
        vocabulary = gr.Textbox(
            label=say("Listen for these words only"),
            info=say(
                "A word or phrase in each line; all else is left out. For commands, names of a list, numbers. "
                "While you speak as well."
            ),
            placeholder=say("yes\nno\ncall the office"),
            lines=3,
            max_lines=8,
            elem_id="transcribe-vocabulary",
        )
        speakers = gr.Checkbox(
            label=say("Tell speakers apart"),
            info=say("In files, not while you speak. Needs the speaker model: launch.py models pull speakers."),
            elem_id="transcribe-speakers",
        )
    return vocabulary, speakers


def _language_label(info: SpeechModelInfo) -> str:
    name = f"{info.language} · {info.name}"
    return say("{engine} (demo model)", engine=name) if info.demo else name


def _sources(studio: Studio) -> tuple[gr.File, LivePanel, gr.Tab, gr.Tab]:
    """Two inner tabs. A file goes through gr.File, which takes every container and converts none."""
    with gr.Tabs(elem_classes="inner-tabs"):
        with gr.Tab(say("Upload a file"), id="upload", elem_id="transcribe-upload-tab") as upload_tab:
            upload = gr.File(
                label=say("Audio or video"),
                show_label=False,
                file_count="multiple",
                type="filepath",
                height=170,
                elem_id="transcribe-file",
            )
            _wire_dropped(upload)
            gr.HTML(built(lambda: f'<p class="hint">{say(KINDS)}</p>'))
        with gr.Tab(say("Record"), id="record", elem_id="transcribe-record-tab") as record_tab:
            gr.HTML(built(lambda: f'<div class="insecure-note">{say(NOT_SECURE)}</div>'))
            live = live_panel(studio)
    return upload, live, upload_tab, record_tab


def _wire_dropped(upload: gr.File) -> None:
    """For static/drop.js, which puts what is dropped on the page into the box: empty it, and hear what has arrived."""
    with gr.Row(elem_classes="unseen"):
        clear = gr.Button("Clear", elem_id="transcribe-clear")
    clear.click(None, None, upload, js="() => null", **QUIET)
    upload.upload(None, None, None, js="() => window.recordings.uploaded()", **QUIET)


def _wire(tab: TranscribeTab, studio: Studio) -> None:
    view = tab.view

    async def show(job: Job) -> Updates:
        return shown_transcript(view, job)

    work = Work(
        "transcription",
        tab.controls,
        view.status,
        submit=lambda values, account: _submit(tab, studio, values, account),
        again=lambda _, values, account: _submit(tab, studio, values, account),
        show=show,
        recent=lambda account: recent_transcripts(view, studio, account),
        heard=lambda text: {view.heard: heard_html(text)},
        together=lambda jobs, refused: {view.files: files_html(jobs, refused)},
    )
    inputs = {tab.upload, tab.language, tab.vocabulary, tab.speakers}
    wire_work(work, studio.queue, [tab.controls.go.click], inputs, view.components)
    wire_live(tab.live, view, studio)


def _submit(tab: TranscribeTab, studio: Studio, values: Values, account: str) -> Started:
    """A job for each file. Raises InvalidRequest without one, and what the first one raises if none is taken."""
    paths = [Path(path) for path in values[tab.upload] or []]
    if not paths:
        raise InvalidRequest("audio", say("Choose an audio or video file first."))
    # Of a box that nobody has opened Gradio sends None.
    phrases = [line for line in (values[tab.vocabulary] or "").splitlines() if line.strip()]
    options = {"language": values[tab.language], "vocabulary": phrases, "speakers": bool(values[tab.speakers])}
    jobs: list[Job] = []
    refused: list[tuple[str, str]] = []
    for path in paths:
        try:
            jobs.append(_submit_one(studio, path, options, account))
        except StudioError as error:
            if len(paths) == 1:
                raise
            refused.append((path.name, str(error)))
    if not jobs:
        raise InvalidRequest("audio", refused[0][1])
    return Started(tuple(jobs), cleared(tab.view), tuple(refused))


def _submit_one(studio: Studio, path: Path, options: Values, account: str) -> Job:
    # Kept, because the page plays it beside its text.
    request = parse(TranscriptionRequest, {"filename": path.name, "keep_audio": True, **options})
    file = studio.files.take(path, path.name)
    return studio.queue.submit(Submission("transcription", request, account, {"audio": file}))
