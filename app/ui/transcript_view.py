"""Where a transcript appears: notice, text, words, downloads, and the recent ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

import gradio as gr

from app.concurrency import run_blocking
from app.jobs.model import Job
from app.studio import Studio
from app.ui.files import served, transcript_json
from app.ui.progress import note_html
from app.ui.work import Updates
from app.work.speech import TranscriptionRequest, TranscriptionResult

RECENT = 10
CAPTIONS = ("txt", "srt", "vtt")
NO_SPEECH = "No speech was found."


@dataclass(frozen=True, slots=True)
class TranscriptView:
    """The right half of the Transcribe tab."""

    status: gr.HTML
    text: gr.Textbox
    words_box: gr.Accordion
    words: gr.Dataframe
    downloads_row: gr.Row
    downloads: dict[str, gr.DownloadButton]
    recent_box: gr.Column
    recent: gr.Dataframe
    recent_ids: gr.State

    @property
    def components(self) -> list[gr.components.Component]:
        return [
            self.status,
            self.text,
            self.words_box,
            self.words,
            self.downloads_row,
            *self.downloads.values(),
            self.recent_box,
            self.recent,
            self.recent_ids,
        ]


def transcript_view() -> TranscriptView:
    """Lay the components out; call it inside the tab's right column."""
    status = gr.HTML("", elem_id="transcribe-status")
    text = gr.Textbox(
        label="Text",
        lines=7,
        max_lines=16,
        interactive=False,
        placeholder="The text appears here.",
        buttons=["copy"],
        elem_id="transcribe-text",
    )
    with gr.Row(visible=False, elem_classes="result-actions") as downloads_row:
        downloads = {
            name: gr.DownloadButton(name.upper(), size="md", min_width=70, elem_id=f"transcribe-{name}")
            for name in (*CAPTIONS, "json")
        }
    with gr.Accordion("Words", open=True, visible=False, elem_id="transcribe-words-box") as words_box:
        words = gr.Dataframe(
            headers=["Word", "Start (s)", "End (s)", "Confidence"],
            datatype=["str", "str", "str", "str"],
            interactive=False,
            show_label=False,
            max_height=320,
            buttons=["copy"],
            elem_id="transcribe-words",
        )
    with gr.Column(visible=False, elem_classes="recent-box") as recent_box:
        gr.HTML('<h2 class="recent-head">Recent</h2>')
        recent = gr.Dataframe(
            headers=["When", "File", "Text"],
            datatype=["str", "str", "str"],
            interactive=False,
            label="Recent",
            show_label=False,
            max_height=260,
            column_widths=["22%", "30%", "48%"],
            buttons=[],
            elem_id="transcribe-recent",
        )
    return TranscriptView(
        status, text, words_box, words, downloads_row, downloads, recent_box, recent, recent_ids=gr.State([])
    )


async def shown_transcript(view: TranscriptView, studio: Studio, job: Job) -> Updates:
    """Show a job that has a result."""
    result = _result_of(job)
    rows = word_rows(result)
    by_id = {file.id: file for file in job.files}
    files = {name: await run_blocking(served, studio, job, by_id[getattr(result.captions, name)]) for name in CAPTIONS}
    files["json"] = await run_blocking(transcript_json, job)
    said = done_words(result)
    return {
        view.status: note_html(job, said, "note" if result.no_speech else "done"),
        view.text: result.text,
        view.words_box: gr.Accordion(f"Words ({len(rows)})", visible=bool(rows)),
        view.words: rows,
        view.downloads_row: gr.Row(visible=not result.no_speech),
        **{view.downloads[name]: path for name, path in files.items()},
    }


def cleared(view: TranscriptView) -> Updates:
    """Nothing of an earlier transcript, so that its text is not taken for that of the job in work."""
    return {
        view.text: "",
        view.words_box: gr.Accordion(visible=False),
        view.words: [],
        view.downloads_row: gr.Row(visible=False),
    }


def word_rows(result: TranscriptionResult) -> list[list[str]]:
    return [[word.word, f"{word.start:.2f}", f"{word.end:.2f}", f"{word.confidence:.0%}"] for word in result.words]


def done_words(result: TranscriptionResult) -> str:
    where = "" if result.where == "local" else " on Cloud Run"
    heard = NO_SPEECH if result.no_speech else "Done."
    demo = " (demo model)" if result.demo else ""
    note = f" {result.note}" if result.note else ""
    return f"{heard} {result.duration:.1f} s of sound, {result.engine}{where}{demo}.{note}"


async def recent_transcripts(view: TranscriptView, studio: Studio, account: str) -> Updates:
    """The account's newest transcripts."""
    jobs = await studio.queue.recent(account, "transcription", RECENT, also=("live",))
    return {
        view.recent_box: gr.Column(visible=bool(jobs)),
        view.recent: [[_when(job), _file(job), _beginning(job)] for job in jobs],
        view.recent_ids: [job.id for job in jobs],
    }


def _when(job: Job) -> str:
    return datetime.fromtimestamp(job.created_at).strftime("%d %b %H:%M")


def _file(job: Job) -> str:
    assert isinstance(job.request, TranscriptionRequest)
    return PurePath(job.request.filename or "recording").name


def _beginning(job: Job) -> str:
    text = _result_of(job).text
    return text if len(text) <= 80 else f"{text[:79]}…"


def _result_of(job: Job) -> TranscriptionResult:
    assert isinstance(job.result, TranscriptionResult)
    return job.result
