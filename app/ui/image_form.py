"""What a person fills in to get pictures: the part that the Avatar and the Hero tab share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.presets import Kind, Presets
from app.ui.work import QUIET, Values
from engines.errors import InvalidRequest
from engines.types import MAX_COUNT, MAX_SEED, ImageModelInfo

NO_PRESET = "none"
"""The choice that takes the prompt as it is."""

RANDOM = "random"
KEEP = "keep"


@dataclass(frozen=True, slots=True)
class ImageForm:
    """The components that both tabs have. `elem_id`s start with the tab's kind."""

    kind: Kind
    preset: gr.Radio
    preset_note: gr.HTML
    negative_prompt: gr.Textbox
    seed: gr.Textbox
    seed_mode: gr.Radio
    drawn: gr.State
    """The seed that was drawn last, as text: another one in the field was typed by the person."""
    count: gr.Slider
    width: gr.Textbox
    height: gr.Textbox
    steps: gr.Textbox
    guidance: gr.Textbox
    sampler: gr.Dropdown

    @property
    def components(self) -> set[gr.components.Component]:
        return {
            self.preset,
            self.negative_prompt,
            self.seed,
            self.seed_mode,
            self.drawn,
            self.count,
            self.width,
            self.height,
            self.steps,
            self.guidance,
            self.sampler,
        }

    def common(self, values: Values, seed: int) -> dict[str, Any]:
        """The fields as `image_request` takes them; an empty one is None, the preset's or model's default."""
        return {
            "negative_prompt": values[self.negative_prompt],
            "seed": seed,
            "count": values[self.count],
            "width": whole_number("Width", values[self.width]),
            "height": whole_number("Height", values[self.height]),
            "num_inference_steps": whole_number("Steps", values[self.steps]),
            "guidance_scale": any_number("Guidance", values[self.guidance]),
            "sampler": values[self.sampler] or None,
        }

    def preset_id(self, values: Values) -> str | None:
        chosen = values[self.preset]
        return None if chosen in (None, NO_PRESET) else str(chosen)


def seed_to_use(text: str | None, mode: str, drawn: str) -> int:
    """The kept or typed seed, or a fresh one, drawn here so that the field can show it while the job waits."""
    kept = whole_number("Seed", text) if mode == KEEP or text != drawn else None
    return secrets.randbelow(MAX_SEED + 1) if kept is None or kept == -1 else kept


def whole_number(label: str, text: str | None) -> int | None:
    """What a person typed into a field that may stay empty. Raises InvalidRequest."""
    if not (text or "").strip():
        return None
    try:
        return int(str(text))
    except ValueError as error:
        raise InvalidRequest(label.lower(), f"{label} must be a whole number, not {str(text)[:40]!r}.") from error


def any_number(label: str, text: str | None) -> float | None:
    """As `whole_number`, with decimals; a comma is a decimal point to many people."""
    if not (text or "").strip():
        return None
    try:
        return float(str(text).replace(",", "."))
    except ValueError as error:
        raise InvalidRequest(label.lower(), f"{label} must be a number, not {str(text)[:40]!r}.") from error


def preset_picker(kind: Kind, presets: Presets) -> tuple[gr.Radio, gr.HTML]:
    """The presets as a row of pills, and below them what the chosen one does."""
    choices = [(preset.name, preset.id) for preset in presets.of(kind)]
    first = presets.of(kind)[0].id
    radio = gr.Radio(
        [*choices, ("No preset", NO_PRESET)],
        value=first,
        label="Preset",
        elem_id=f"{kind}-preset",
        elem_classes="pills",
    )
    note = gr.HTML(preset_note(presets, kind, first), elem_id=f"{kind}-preset-note", elem_classes="preset-note")
    radio.change(
        lambda chosen: preset_note(presets, kind, chosen),
        radio,
        note,
        **QUIET,
    )
    return radio, note


def preset_note(presets: Presets, kind: Kind, chosen: str | None) -> str:
    if chosen in (None, NO_PRESET):
        return "Your words alone, nothing added."
    return next((preset.description for preset in presets.of(kind) if preset.id == chosen), "")


def negative_prompt_box(kind: Kind) -> gr.Textbox:
    return gr.Textbox(
        label="Negative prompt",
        placeholder="What the picture should not show, e.g. hat, text",
        lines=1,
        max_lines=4,
        elem_id=f"{kind}-negative",
    )


def seed_row(kind: Kind) -> tuple[gr.Textbox, gr.Radio, gr.State, gr.Slider]:
    """Seed, dice and lock, and how many pictures."""
    with gr.Row(elem_classes="seed-row", equal_height=True):
        seed = _number("Seed", "random", f"{kind}-seed", scale=2)
        mode = gr.Radio(
            [("Random", RANDOM), ("Keep", KEEP)],
            value=RANDOM,
            label="Next seed",
            elem_id=f"{kind}-seed-mode",
            elem_classes="segmented",
            min_width=205,
            scale=2,
        )
        count = gr.Slider(1, MAX_COUNT, 1, step=1, label="Count", min_width=150, elem_id=f"{kind}-count", scale=2)
    drawn = gr.State("")
    # Who types a seed wants that one; the dice throws it away.
    seed.change(lambda text, last: gr.skip() if text in ("", last) else KEEP, [seed, drawn], mode, **QUIET)
    mode.input(lambda chosen: "" if chosen == RANDOM else gr.skip(), mode, seed, **QUIET)
    return seed, mode, drawn, count


def advanced(kind: Kind, info: ImageModelInfo) -> tuple[gr.Textbox, gr.Textbox, gr.Textbox, gr.Textbox, gr.Dropdown]:
    """The drawer of settings that have a good default: width, height, steps, guidance, sampler."""
    best = "model default" if info.own_recipe else "preset's own"
    with gr.Accordion("Advanced", open=False, elem_id=f"{kind}-advanced"):
        with gr.Row():
            width = _number("Width", "from the preset", f"{kind}-width")
            height = _number("Height", "from the preset", f"{kind}-height")
        with gr.Row():
            steps = _number("Steps", f"{best}{_default(info, info.num_inference_steps)}", f"{kind}-steps")
            guidance = _number("Guidance", f"{best}{_default(info, info.guidance_scale)}", f"{kind}-guidance")
        sampler = gr.Dropdown(
            [(best.capitalize(), ""), *((name, name) for name in info.samplers)],
            value="",
            label="Sampler",
            elem_id=f"{kind}-sampler",
        )
    return width, height, steps, guidance, sampler


def _default(info: ImageModelInfo, value: float) -> str:
    return f" ({value:g})" if info.own_recipe else ""


def _number(label: str, placeholder: str, elem_id: str, *, scale: int | None = None) -> gr.Textbox:
    """A number that may be left empty. (gr.Number shows an empty one as 0, which is a value.)"""
    keyboard = gr.InputHTMLAttributes(autocomplete="off", spellcheck=False)
    return gr.Textbox(
        label=label,
        placeholder=placeholder,
        max_lines=1,
        min_width=120,
        scale=scale,
        elem_id=elem_id,
        html_attributes=keyboard,
    )
