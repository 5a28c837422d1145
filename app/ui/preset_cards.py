"""The presets as cards: a picture each, made by the model in use, and below them what the chosen one does.

The radio group is Gradio's; `static/presets.js` puts the pictures into it, which `GET /presets` names, and keys.js
makes it one stop of the Tab key, as radio groups are.
"""

from __future__ import annotations

import html
import json

import gradio as gr

from app.i18n.texts import built, mark, say
from app.presets import NO_PRESET, Kind, Preset
from app.studio import Studio
from app.ui.work import QUIET

NO_PRESET_NOTE = mark("Your words alone, nothing added.")
SHOW_ALL, SHOW_ROW = mark("Show all"), mark("Show fewer")


def preset_picker(kind: Kind, studio: Studio) -> gr.Radio:
    """The radio group, what the chosen preset does, and a button that shows all at once."""
    showcase, presets = studio.showcase, studio.presets
    choices = [(say(preset.name), preset.id) for preset in showcase.in_order(kind, presets)]
    first = showcase.first(kind, presets).id
    radio = gr.Radio(
        [*choices, (say("No preset"), NO_PRESET)],
        value=first,
        label=say("Preset"),
        elem_id=f"{kind}-preset",
        elem_classes=["preset-cards", f"{kind}-cards"],
    )
    with gr.Row(elem_classes="preset-below"):
        note = gr.HTML(
            built(lambda: preset_note(studio, kind, first)), elem_id=f"{kind}-preset-note", elem_classes="preset-note"
        )
        gr.HTML(
            built(lambda: _show_all(studio, kind)),
            elem_classes="preset-more",
            apply_default_css=False,
        )
    radio.change(lambda chosen: preset_note(studio, kind, chosen), radio, note, **QUIET)
    return radio


def preset_note(studio: Studio, kind: Kind, chosen: str | None) -> str:
    """What the chosen preset does, in HTML; nothing for one that is not there."""
    if chosen in (None, NO_PRESET):
        return say(NO_PRESET_NOTE)
    found = next((preset for preset in studio.presets.of(kind) if preset.id == chosen), None)
    return "" if found is None else html.escape(_note(studio, found))


def _note(studio: Studio, preset: Preset) -> str:
    return " ".join(say(sentence) for sentence in studio.showcase.notes(preset))


def _show_all(studio: Studio, kind: Kind) -> str:
    """The button, which also has the presets' descriptions, for the cards that presets.js makes."""
    notes = {preset.id: _note(studio, preset) for preset in studio.presets.of(kind)}
    return (
        f'<button type="button" class="show-all" data-cards="{kind}-preset" data-less="{say(SHOW_ROW)}" '
        f'data-notes="{html.escape(json.dumps(notes))}" aria-expanded="false">{say(SHOW_ALL)}</button>'
    )
