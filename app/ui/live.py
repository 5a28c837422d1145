"""The Record half of the Transcribe tab: one button, and words that appear while somebody speaks.

What happens between button, microphone and /v1/vosk is `static/live.js`. Here is its markup, and what follows at the
end: the session's job is shown like any other transcript.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.studio import Studio
from app.ui.account import account_of
from app.ui.transcript_view import TranscriptView, cleared, recent_transcripts, shown_transcript
from app.ui.work import QUIET, Updates, Values

PANEL = """
<div class="live">
  <button id="live-record" type="button" data-state="idle" aria-pressed="false">
    <i id="live-level" aria-hidden="true"></i><span id="live-label">Record</span>
  </button>
  <p id="live-note" role="status"></p>
  <div id="live-words" aria-live="polite" aria-label="What was heard so far"><span
    id="live-settled"></span><span id="live-partial"></span></div>
</div>
"""


@dataclass(frozen=True, slots=True)
class LivePanel:
    """How the script tells that a session has ended: it presses `ended`, and leaves the job's id for `job`."""

    ended: gr.Button
    job: gr.Textbox


def live_panel() -> LivePanel:
    """Lay the panel out, inside the current tab."""
    gr.HTML(PANEL)
    with gr.Row(elem_classes="off-page"):
        return LivePanel(gr.Button("Show", elem_id="live-ended"), gr.Textbox(show_label=False))


def wire_live(panel: LivePanel, view: TranscriptView, studio: Studio) -> None:
    """Show what a session came to in `view`."""

    async def show(values: Values, request: gr.Request) -> Updates:
        account = account_of(request)
        job = await studio.queue.finished(values[panel.job], account)
        shown = shown_transcript(view, job.succeeded())
        return {**cleared(view), **shown, **await recent_transcripts(view, studio, account)}

    # A text that a script puts into a field is not seen by Gradio; what an event's own script returns is.
    panel.ended.click(show, {panel.job}, view.components, js="() => window.endedLiveJob", **QUIET)
