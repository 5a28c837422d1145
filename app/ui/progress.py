"""A job's progress in a person's words, and as a bar."""

from __future__ import annotations

import html

from app.jobs.model import Job, JobState

STAGES = {
    "starting": "Starting",
    "encode": "Reading the prompt",
    "denoise": "Drawing",
    "decode": "Finishing",
    "store": "Saving",
    "transcribe": "Listening",
    "upload": "Sending",
}


def progress_html(job: Job, preview: str = "") -> str:
    """The bar of a job that is not final; `preview` is a data URI of what its picture looks like so far."""
    percent = round(job.progress.fraction * 100)
    waiting = job.state is JobState.QUEUED
    words = html.escape(waiting_words(job.progress.ahead) if waiting else running_words(job))
    shape = "waiting" if waiting or percent == 0 else "running"
    picture = f'<img class="preview" alt="The picture so far" src="{preview}">' if preview else ""
    return (
        f'<div class="progress {shape}" role="status"><span>{words}</span>'
        f'<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        f'aria-label="Progress"><i style="width:{percent}%"></i></div></div>{picture}'
    )


def waiting_words(ahead: int) -> str:
    if ahead == 0:
        return "Next in line"
    return f"Waiting: {ahead} job{'s' if ahead > 1 else ''} ahead"


def running_words(job: Job) -> str:
    progress = job.progress
    stage = STAGES.get(progress.stage, progress.stage.capitalize())
    parts = [stage]
    if progress.total > 1 and job.kind != "transcription":
        parts[0] += f": step {progress.step} of {progress.total}"
    if progress.eta_seconds is not None:
        parts.append(left_words(progress.eta_seconds))
    return " · ".join(parts)


def left_words(seconds: float) -> str:
    if seconds < 1:
        return "less than a second left"
    if seconds < 90:
        return f"about {round(seconds)} s left"
    return f"about {round(seconds / 60)} min left"


def note_html(job: Job, text: str, kind: str = "note") -> str:
    """In the place of the bar a line, and below it what was asked for and not used; `kind` is note, done or problem."""
    warnings = "".join(f'<span class="warning">{html.escape(warning.message)}</span>' for warning in job.warnings)
    line = f"<span>{html.escape(text)}</span>{warnings}"
    return f'<div class="progress {kind}" role="status" data-job="{job.id}">{line}</div>'


def ended_html(job: Job) -> str:
    """The line of a final job that has no result."""
    if job.state is JobState.CANCELLED:
        return note_html(job, "Cancelled.")
    return note_html(job, job.error.message if job.error else f"The job is {job.state.value}.", "problem")
