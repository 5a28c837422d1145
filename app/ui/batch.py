"""The list of prompts that were sent with one press: what has become of each, and the way to its pictures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from app.i18n.texts import say
from app.jobs.model import Job, JobState
from app.presets import Kind
from app.ui.progress import stage_words, state_words, told, waiting_words


@dataclass(frozen=True, slots=True)
class Batch:
    """Where the list is, and how it tells which line was pressed: problems.js presses `open` with the job's id."""

    sent: gr.HTML
    open: gr.Button
    opened: gr.Textbox


def batch_list(kind: Kind) -> Batch:
    """Lay it out, inside the tab's right column."""
    sent = gr.HTML("", elem_id=f"{kind}-batch", container=False)
    with gr.Row(elem_classes="unseen"):
        return Batch(sent, gr.Button("Show", elem_id=f"{kind}-open-sent"), gr.Textbox(show_label=False))


def batch_html(kind: Kind, jobs: Sequence[Job], refused: Sequence[tuple[str, str]] = ()) -> str:
    """A line for each prompt, and for each that was not taken: the prompt and why."""
    lines = [_line(kind, job) for job in jobs]
    lines += [f"{_words(prompt)}{told(why, 'em', 'why')}" for prompt, why in refused]
    return f'<ol class="batch" aria-label="{say("Prompts")}">{"".join(f"<li>{line}</li>" for line in lines)}</ol>'


def _line(kind: Kind, job: Job) -> str:
    words = _words(str(getattr(job.request, "prompt", "")))
    if job.state is JobState.SUCCEEDED:
        return (
            f'<button type="button" data-press="{kind}-open-sent" data-value="{job.id}">{words}'
            f'<em class="done">{say("Done")}</em></button>'
        )
    if job.state is JobState.FAILED and job.error is not None:
        return f"{words}{told(job.error.message, 'em', 'why')}"
    return f"{words}<em>{html.escape(_state_words(job))}</em>"


def _state_words(job: Job) -> str:
    if job.state is JobState.QUEUED:
        return waiting_words(job.progress.ahead)
    # Without the step: each change draws the whole list anew.
    return stage_words(job.progress.stage) if job.state is JobState.RUNNING else state_words(job.state)


def _words(prompt: str) -> str:
    return f"<span>{html.escape(prompt)}</span>"
