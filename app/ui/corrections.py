"""The account's list of corrections on the Transcribe tab: what is heard wrong, and what to write instead.

`static/corrections.js` reads and writes it at /corrections, as the account that the browser is logged in as. The words
that it shows are all here.
"""

from __future__ import annotations

import gradio as gr

from app.i18n.texts import built, mark, say
from engines.requests import MAX_CORRECTION_CHARS

HINT = mark(
    "Names, hashtags and other words that the model cannot spell. Whole words are replaced, in files and while you "
    "speak; what was heard stays readable on the word itself."
)
REMOVE = mark("Do not correct this any more")

FIELD = rf'maxlength="{MAX_CORRECTION_CHARS}" required pattern=".*\S.*" autocomplete="off"'
"""At least one word, and not more than the studio takes: told by the browser in its user's language."""

EXACT = mark("Only where upper and lower case are the same")


def list_html() -> str:
    return rf"""
<carrot-corrections>
  <p class="hint">{say(HINT)}</p>
  <form class="c-form" aria-label="{say("Add a correction")}">
    <label><span>{say("Heard")}</span>
      <input name="heard" placeholder="carrot app" {FIELD}></label>
    <label><span>{say("Write")}</span>
      <input name="written" placeholder="#CarrotApp" {FIELD}></label>
    <button class="t-button" type="submit">{say("Add")}</button>
    <label class="c-case"><input name="match_case" type="checkbox"> {say(EXACT)}</label>
  </form>
  <p class="c-status" role="status"></p>
  <p class="c-none">{say("The list is empty.")}</p>
  <table hidden>
    <thead><tr><th scope="col">{say("Heard")}</th><th scope="col">{say("Written")}</th>
      <th scope="col" title="{say("How often in the transcript that is shown")}">{say("Here")}</th><th></th></tr>
    </thead>
    <tbody></tbody>
  </table>
  <template>
    <tr><td class="c-heard"><span></span> <i class="c-exact" hidden>{say("as written")}</i></td>
      <td class="c-written"></td><td class="c-count"></td>
      <td><button class="t-icon" type="button" title="{say(REMOVE)}" aria-label="{say(REMOVE)}">×</button></td></tr>
  </template>
</carrot-corrections>
"""


def corrections_list() -> None:
    """Lay the list out, folded, inside the current column."""
    with gr.Accordion(say("Corrections"), open=False, elem_id="transcribe-corrections"):
        gr.HTML(built(list_html), apply_default_css=False)
