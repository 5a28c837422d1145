"""Where transcripts appear: notice, the files in work, the text as it is heard, the transcript, and the recent ones.

The transcript itself is the page's own element, `<carrot-transcript>` of static/transcript.js, which is told a job's id
and asks the studio for its words: those of hours would be megabytes in every update of Gradio's.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

import gradio as gr

from app.i18n.language import ENGLISH, language
from app.i18n.texts import built, mark, say
from app.jobs.model import Job, JobState
from app.studio import Studio
from app.ui.amounts import number
from app.ui.image_results import recent_head
from app.ui.progress import note_html, stage_words, state_words, told, waiting_words
from app.ui.work import Updates
from app.work.speech import TranscriptionRequest, TranscriptionResult

RECENT = 10
NO_SPEECH = mark("No speech was found.")

NOTHING_SHOWN = "<carrot-transcript></carrot-transcript>"
"""Always there, so that a press on a recent one has something to show it in."""

HEARD_CHARS = 1500
"""Of the text that is shown while it is heard: its end. The text of hours, sent again with each segment, would grow to
gigabytes."""


@dataclass(frozen=True, slots=True)
class TranscriptView:
    """The right half of the Transcribe tab."""

    status: gr.HTML
    files: gr.HTML
    """States of several files that were sent at once."""
    heard: gr.HTML
    transcript: gr.HTML
    recent_box: gr.Column
    recent: gr.HTML

    @property
    def components(self) -> list[gr.components.Component]:
        return [self.status, self.files, self.heard, self.transcript, self.recent_box, self.recent]


def transcript_view() -> TranscriptView:
    """Lay the components out; call it inside the tab's right column."""
    status = gr.HTML("", elem_id="transcribe-status")
    files = gr.HTML("", elem_id="transcribe-files")
    heard = gr.HTML("", elem_id="transcribe-heard", apply_default_css=False)
    transcript = gr.HTML(NOTHING_SHOWN, elem_id="transcribe-result", apply_default_css=False)
    with gr.Column(visible=False, elem_classes="recent-box") as recent_box:
        gr.HTML(built(recent_head))
        recent = gr.HTML("", elem_id="transcribe-recent")
    return TranscriptView(status, files, heard, transcript, recent_box, recent)


def shown_transcript(view: TranscriptView, job: Job) -> Updates:
    """Show a job that has a result."""
    result = _result_of(job)
    return {
        view.status: note_html(job, done_words(result), "note" if result.no_speech else "done"),
        view.heard: "",
        view.transcript: f'<carrot-transcript job="{job.id}"></carrot-transcript>',
    }


def cleared(view: TranscriptView) -> Updates:
    """Nothing of an earlier transcript, so that its text is not taken for that of the job in work."""
    return {view.heard: "", view.files: "", view.transcript: NOTHING_SHOWN}


def heard_html(text: str) -> str:
    """The end of what has been heard so far."""
    shown = text if len(text) <= HEARD_CHARS else f"… {text[-HEARD_CHARS:].partition(' ')[2]}"
    return f'<div class="heard">{html.escape(shown)}</div>' if shown else ""


def files_html(jobs: Sequence[Job], refused: Sequence[tuple[str, str]] = ()) -> str:
    """A line for each file that was sent at once, and for each that was not taken: its name and why."""
    rows = [_file_row(job) for job in jobs]
    rows += [_row(html.escape(name), told(why, look="problem")) for name, why in refused]
    return f'<ul class="files" aria-label="{say("Files")}">{"".join(rows)}</ul>'


def _file_row(job: Job) -> str:
    name = html.escape(_file(job))
    if job.state is JobState.SUCCEEDED:
        return _result_row(job, "state", say("Done"))
    if job.state is JobState.FAILED and job.error is not None:
        return _row(name, told(job.error.message, look="problem"))
    return _row(name, f'<span class="more">{html.escape(_state_words(job))}</span>')


def _state_words(job: Job) -> str:
    if job.state is JobState.QUEUED:
        return waiting_words(job.progress.ahead)
    if job.state is JobState.RUNNING:
        # In tenths: each change draws the whole list anew.
        tenths = int(job.progress.fraction * 10) * 10
        return f"{stage_words(job.progress.stage)} · {tenths} %"
    return state_words(job.state)


def _row(name: str, more: str) -> str:
    return f'<li><div class="row"><span class="name">{name}</span>{more}</div></li>'


def _result_row(job: Job, kind: str, last: str) -> str:
    """A line to press, which shows the transcript."""
    name, beginning = html.escape(_file(job)), html.escape(_beginning(job) or say(NO_SPEECH))
    return (
        f'<li><button type="button" data-transcript="{job.id}"><span class="name">{name}</span>'
        f'<span class="more">{beginning}</span><span class="{kind}">{last}</span></button></li>'
    )


def done_words(result: TranscriptionResult) -> str:
    heard = say(NO_SPEECH) if result.no_speech else say("Done.")
    # Its note stands beside the text.
    engine = engine_words(result.engine, result.where, demo=result.demo)
    sound = say("{seconds} s of sound, {engine}.", seconds=number(result.duration), engine=engine)
    return f"{heard} {sound}"


def engine_words(engine: str, where: str, *, demo: bool) -> str:
    """What has heard it, and where."""
    named = engine if where == "local" else say("{engine} on Cloud Run", engine=engine)
    return say("{engine} (demo model)", engine=named) if demo else named


async def recent_transcripts(view: TranscriptView, studio: Studio, account: str) -> Updates:
    """The account's newest transcripts."""
    jobs = await studio.queue.library.recent(account, "transcription", RECENT, also=("live",))
    rows = "".join(_result_row(job, "when", _when(job)) for job in jobs)
    return {view.recent_box: gr.Column(visible=bool(jobs)), view.recent: f'<ul class="files recent">{rows}</ul>'}


def _when(job: Job) -> str:
    when = datetime.fromtimestamp(job.created_at)
    if language() == ENGLISH:
        return when.strftime("%d %b %H:%M")
    from babel.dates import format_datetime

    return format_datetime(when, "d. MMM HH:mm" if language() == "de" else "d MMM HH:mm", locale=language())


def _file(job: Job) -> str:
    assert isinstance(job.request, TranscriptionRequest)
    return PurePath(job.request.filename or say("recording")).name


def _beginning(job: Job) -> str:
    text = " ".join(_result_of(job).text[:120].split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def _result_of(job: Job) -> TranscriptionResult:
    assert isinstance(job.result, TranscriptionResult)
    return job.result
