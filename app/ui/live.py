"""The Record half of the Transcribe tab: one button, and words that appear while somebody speaks.

What happens between button, microphone and /v1/vosk is `static/live.js`. Here is its markup, and what follows at the
end: the session's job is shown like any other transcript.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import gradio as gr

from app.i18n.texts import built, say
from app.studio import Studio
from app.ui.account import account_of
from app.ui.transcript_view import TranscriptView, cleared, recent_transcripts, shown_transcript
from app.ui.work import QUIET, Updates, Values


def panel_html(*, offered: bool) -> str:
    """`offered`: whether the microphones of the studio's machine may be chosen; the script shows them once it has found
    any."""
    source = (
        f'<div id="live-source" hidden><label for="live-microphone">{say("Microphone")}</label>'
        f'<select id="live-microphone"><option value="">{say("This browser’s")}</option></select></div>'
    )
    empty = html.escape(say("What you say appears here."), quote=True)
    return f"""
<div class="live">
  {source if offered else ""}
  <button id="live-record" type="button" data-state="idle" aria-pressed="false">
    <i id="live-level" aria-hidden="true"></i><span id="live-label">{say("Record")}</span>
  </button>
  <p id="live-note" role="status"></p>
  <div id="live-words" aria-live="polite" aria-label="{say("What was heard so far")}" data-empty="{empty}"><span
    id="live-settled"></span><span id="live-partial"></span></div>
</div>
"""


@dataclass(frozen=True, slots=True)
class LivePanel:
    """How the script tells that a session has ended: it presses `ended`, and leaves the job's id for `job`."""

    ended: gr.Button
    job: gr.Textbox


def live_panel(studio: Studio) -> LivePanel:
    """Lay the panel out, inside the current tab."""
    gr.HTML(built(lambda: panel_html(offered=studio.settings.microphone)))
    with gr.Row(elem_classes="unseen"):
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
