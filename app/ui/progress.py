"""A job's progress in a person's words, and as a bar."""

from __future__ import annotations

import html
import time

from app.i18n.language import ENGLISH, language
from app.i18n.texts import finished, mark, say, say_n
from app.jobs.model import Job, JobState
from engines.requests import ImageRequest

AGAIN = mark("Try again")
CANCELLED = mark("Cancelled.")
UNFINISHED = {"failed": mark("Failed"), "cancelled": mark("Cancelled"), "running": mark("Running")}
"""States in a word."""

STAGES = {
    "starting": mark("Starting"),
    "fetch": mark("Fetching"),
    "encode": mark("Reading the prompt"),
    "denoise": mark("Drawing"),
    "decode": mark("Finishing"),
    "store": mark("Saving"),
    "transcribe": mark("Listening"),
    "upload": mark("Sending"),
}


def connection_html() -> str:
    """Shown by the style sheet while connection.js cannot reach the studio."""
    told = say("Connection lost. Trying again… What you typed is kept.")
    return f'<div class="connection" role="alert"><i></i>{told}</div>'


def progress_html(job: Job, preview: str = "") -> str:
    """The bar of a job that is not final; `preview` is a data URI of what its picture looks like so far."""
    percent = round(job.progress.fraction * 100)
    waiting = job.state is JobState.QUEUED
    words = html.escape(queued_words(job) if waiting else running_words(job))
    shape = "waiting" if waiting or percent == 0 else "running"
    picture = f'<img class="preview" alt="{say("The picture so far")}" src="{preview}"{_size(job)}>' if preview else ""
    return (
        f'<div class="progress {shape}" role="status"><span>{words}</span>'
        f'<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        f'aria-label="{say("Progress")}"><i style="--done:{percent}%"></i></div></div>{picture}'
    )


def queued_words(job: Job) -> str:
    eta = job.progress.eta_seconds
    words = waiting_words(job.progress.ahead)
    return words if eta is None or not job.progress.ahead else f"{words} · {say('starts in {time}', time=about(eta))}"


def waiting_words(ahead: int) -> str:
    if ahead == 0:
        return say("Next in line")
    return say_n("Waiting: {n} job ahead", "Waiting: {n} jobs ahead", ahead)


def running_words(job: Job) -> str:
    progress = job.progress
    parts: list[str] = [stage_words(progress.stage)]
    if progress.total > 1 and job.kind != "transcription":
        parts[0] = say("{stage}: step {step} of {total}", stage=parts[0], step=progress.step, total=progress.total)
    if progress.eta_seconds is not None:
        parts.append(say("{time} left", time=about(progress.eta_seconds)))
    return " · ".join(parts)


def stage_words(stage: str) -> str:
    return say(STAGES[stage]) if stage in STAGES else stage.capitalize()


def state_words(state: JobState) -> str:
    """A final state, or that of a running job, in a word."""
    return say(UNFINISHED[state.value]) if state.value in UNFINISHED else state.value.capitalize()


def about(seconds: float) -> str:
    """A time in round words."""
    if seconds < 1:
        return say("less than a second")
    if seconds < 90:
        return say("about {n} s", n=round(seconds))
    return say("about {n} min", n=round(seconds / 60))


def told(sentence: str, tag: str = "span", look: str = "") -> str:
    """An element with a finished English sentence, in the page's language if the catalogs know it, else marked as
    English for who has it read out."""
    said = finished(sentence)
    english = f' lang="{ENGLISH}"' if said == sentence and language() != ENGLISH else ""
    named = f' class="{look}"' if look else ""
    return f"<{tag}{named}{english}>{html.escape(said)}</{tag}>"


def _size(job: Job) -> str:
    """The picture's own size, so that what it looks like so far has its place, and nothing moves when it is done."""
    return f' width="{job.work.width}" height="{job.work.height}"' if isinstance(job.work, ImageRequest) else ""


def note_html(job: Job, text: str, kind: str = "note", again: str = "") -> str:
    """In the place of the bar a line, and below it what was asked for and not used; `kind` is note, done or problem.

    `again`: see `again_html`.
    """
    warnings = "".join(told(warning.message, look="warning") for warning in job.warnings)
    line = f"<span>{html.escape(text)}</span>{warnings}{again_html(again)}"
    return f'<div class="progress {kind}" role="status" data-job="{job.id}">{line}</div>'


def ended_html(job: Job, again: str) -> str:
    """The line of a final job that has no result."""
    if job.state is JobState.CANCELLED:
        return note_html(job, say(CANCELLED))
    said = job.error.message if job.error else f"The job is {job.state.value}."
    return note_html(job, finished(said), "problem", again)


def again_html(button: str) -> str:
    """A button inside a text that presses the page's own with that `elem_id`; nothing without one."""
    return f'<button type="button" class="again" data-press="{button}">{say(AGAIN)}</button>' if button else ""


def problem_html(text: str, field: str | None = None) -> str:
    """A line for what could not be done. `field`: `elem_id` of the field to blame, beside which problems.js puts it."""
    where = _beside(field) if field else ""
    return f'<div class="progress problem" role="alert"{where}><span>{html.escape(text)}</span></div>'


def field_note_html(text: str, field: str) -> str:
    """A line about a field with which nothing is wrong, for the same place beside it."""
    return f'<div class="progress note" role="status"{_beside(field)}><span>{html.escape(text)}</span></div>'


def _beside(field: str) -> str:
    # The time tells the browser that the same words are said once more.
    return f' data-field="{html.escape(field)}" data-at="{time.monotonic_ns()}"'


def restarting_html() -> str:
    told = say("The studio is being restarted. Your job is kept and goes on by itself.")
    return f'<div class="progress waiting" role="status"><span>{told}</span></div>'
