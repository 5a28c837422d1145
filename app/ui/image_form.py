"""What a person fills in to get pictures: a form whose fields are those of the kind's request, by the same names."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.presets import NO_PRESET, Kind, Presets
from app.ui.work import QUIET, Updates, Values
from app.work.presets import PresetRequest
from engines.requests import MAX_COUNT, MAX_SEED, parse
from engines.results import ImageModelInfo

RANDOM = "random"
KEEP = "keep"
BOXES = ("width", "height", "num_inference_steps", "guidance_scale")
"""Fields that a number is typed into, or nothing for a good default."""


@dataclass(frozen=True, slots=True)
class ImageForm:
    """The components, those that the request has a field for by that field's name. `elem_id`s start with the kind."""

    kind: Kind
    request: type[PresetRequest]
    fields: Mapping[str, gr.components.Component]
    seed_mode: gr.Radio
    drawn: gr.State
    """The seed that was drawn last, as text: another one in the field was typed by the person."""

    @property
    def components(self) -> set[gr.components.Component]:
        return {*self.fields.values(), self.seed_mode, self.drawn}

    def read(self, values: Values, seed: int) -> PresetRequest:
        """The request that is filled in; what was left empty is left out. Raises InvalidRequest."""
        given = {name: values[component] for name, component in self.fields.items()}
        given |= {name: typed_number(given[name]) for name in BOXES}
        given = {name: value for name, value in given.items() if value not in (None, "")}
        return parse(self.request, {"prompt": "", **given, "seed": seed})

    def filled(self, request: PresetRequest, seed: int, first_preset: str) -> Updates:
        """The fields as they were for a request, for one picture with this seed."""
        shown = {name: getattr(request, name) for name in self.fields}
        shown |= {name: as_typed(shown[name]) for name in BOXES}
        shown |= {"preset": shown["preset"] or first_preset, "sampler": shown["sampler"] or ""}
        shown |= {"seed": str(seed), "count": 1}
        return {self.seed_mode: KEEP, **{self.fields[name]: value for name, value in shown.items()}}


def seed_to_use(text: str | None, mode: str, drawn: str) -> Any:
    """The kept or typed seed, or a fresh one, drawn here so that the field can show it while the job waits."""
    kept = typed_number(text) if mode == KEEP or text != drawn else None
    return secrets.randbelow(MAX_SEED + 1) if kept in (None, -1) else kept


def typed_number(text: str | None) -> Any:
    """What a person typed into a field that may stay empty; text that is no number stays as it is, to be refused.

    A comma is a decimal point to many people.
    """
    typed = (text or "").strip()
    for number in (int, float):
        try:
            return number(typed.replace(",", "."))
        except ValueError:
            continue
    return typed or None


def as_typed(number: float | None) -> str:
    """A number as a person would type it; nothing for a default."""
    return "" if number is None else f"{number:g}"


def preset_picker(kind: Kind, presets: Presets) -> gr.Radio:
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
    return radio


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


def seed_row(kind: Kind) -> tuple[dict[str, gr.components.Component], gr.Radio, gr.State]:
    """Seed and count by name; dice and lock; the seed that was drawn last."""
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
    return {"seed": seed, "count": count}, mode, drawn


def advanced(kind: Kind, request: type[PresetRequest], info: ImageModelInfo) -> dict[str, gr.components.Component]:
    """The drawer of settings that have a good default, by name."""
    best = "model default" if info.own_recipe else "preset's own"
    own = {"num_inference_steps": info.num_inference_steps, "guidance_scale": info.guidance_scale}
    ids = {"num_inference_steps": "steps", "guidance_scale": "guidance"}
    fields: dict[str, gr.components.Component] = {}
    with gr.Accordion("Advanced", open=False, elem_id=f"{kind}-advanced"):
        for row in (BOXES[:2], BOXES[2:]):
            with gr.Row():
                for name in row:
                    value = f" ({own[name]:g})" if info.own_recipe and name in own else ""
                    hint = f"{best}{value}" if name in own else "from the preset"
                    fields[name] = _number(_title(request, name), hint, f"{kind}-{ids.get(name, name)}")
        fields["sampler"] = gr.Dropdown(
            [(best.capitalize(), ""), *((name, name) for name in info.samplers)],
            value="",
            label=_title(request, "sampler"),
            elem_id=f"{kind}-sampler",
        )
    return fields


def _title(request: type[PresetRequest], name: str) -> str:
    """What people call a field."""
    schema = request.model_json_schema()["properties"][name]
    return str(next(part["title"] for part in (*schema.get("anyOf", ()), schema) if "title" in part))


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
