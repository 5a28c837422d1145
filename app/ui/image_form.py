"""What a person fills in to get pictures: a form whose fields are those of the kind's request, by the same names."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.i18n.texts import built, mark, say
from app.presets import Kind
from app.ui.fields import field_id
from app.ui.work import QUIET, Updates, Values
from app.work.presets import PresetRequest
from app.work.wildcards import escaped, expand
from engines.requests import MAX_COUNT, MAX_SEED, parse, title_of
from engines.results import ImageModelInfo

RANDOM = "random"
KEEP = "keep"
BOXES = ("width", "height", "num_inference_steps", "guidance_scale")
"""Fields that a number is typed into, or nothing for a good default."""

BY_MODEL, BY_PRESET = mark("model default"), mark("preset's own")
"""Where the default of a field comes from that nothing is typed into."""


@dataclass(frozen=True, slots=True)
class ImageForm:
    """The components, those that the request has a field for by that field's name. `elem_id`s start with the kind."""

    kind: Kind
    request: type[PresetRequest]
    fields: Mapping[str, gr.components.Component]
    seed_mode: gr.Radio

    @property
    def components(self) -> set[gr.components.Component]:
        return {*self.fields.values(), self.seed_mode}

    def read(self, values: Values, seed: int) -> PresetRequest:
        """The request that is filled in; what was left empty is left out. Raises InvalidRequest."""
        given = {name: values[component] for name, component in self.fields.items()}
        given |= {name: typed_number(given[name]) for name in BOXES}
        given = {name: value for name, value in given.items() if value not in (None, "")}
        return parse(self.request, {"prompt": "", **given, "seed": seed}, titled=True)

    def read_each(self, values: Values, seed: int) -> list[PresetRequest]:
        """A request for each prompt that the text stands for. Raises InvalidRequest."""
        prompt = self.fields["prompt"]
        return [self.read({**values, prompt: text}, seed) for text in expand(values[prompt] or "")]

    def filled(self, request: PresetRequest, seed: int, first_preset: str) -> Updates:
        """The fields as they were for a request, for one picture with this seed."""
        shown = {name: getattr(request, name) for name in self.fields}
        shown |= {name: as_typed(shown[name]) for name in BOXES}
        shown |= {"preset": shown["preset"] or first_preset, "sampler": shown["sampler"] or ""}
        shown |= {"prompt": escaped(shown["prompt"]), "seed": str(seed), "count": 1}
        return {self.seed_mode: KEEP, **{self.fields[name]: value for name, value in shown.items()}}


def seed_to_use(text: str | None, mode: str) -> Any:
    """The kept or typed seed, or a fresh one, drawn here so that the field can show it while the job waits."""
    kept = typed_number(text) if mode == KEEP else None
    return secrets.randbelow(MAX_SEED + 1) if kept in (None, -1) else kept


def keep(form: str, components: list[gr.components.Component]) -> None:
    """Let the browser tab keep what is in the components, and give it back when the page is loaded again (keep.js)."""
    names = json.dumps([component.elem_id for component in components])
    changes = [component.change for component in components]
    loaded = gr.context.Context.root_block.load
    for triggers, call, outputs in ((changes, "keep", None), ([loaded], "kept", components)):
        script = f"(...values) => window.studio.{call}('{form}', {names}, values)"
        gr.on(triggers, None, components, outputs, js=script, **QUIET)


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


def prompt_box(kind: Kind, placeholder: str) -> gr.Textbox:
    return gr.Textbox(
        label=say("Prompt"),
        placeholder=placeholder,
        info=say("One picture a line; {red|blue} makes one of each."),
        lines=3,
        max_lines=10,
        elem_id=f"{kind}-prompt",
        elem_classes="prompt-box",
    )


def negative_prompt_box(kind: Kind) -> gr.Textbox:
    return gr.Textbox(
        label=say("Negative prompt"),
        placeholder=say("What the picture should not show, e.g. hat, text"),
        lines=1,
        max_lines=4,
        elem_id=f"{kind}-negative",
    )


def seed_row(kind: Kind) -> tuple[gr.Textbox, gr.Radio]:
    """The seed, and whether the next one is another."""
    with gr.Row(elem_classes="seed-row", equal_height=True):
        seed = _number(say("Seed"), say("random"), f"{kind}-seed", scale=2)
        mode = gr.Radio(
            [(say("Random"), RANDOM), (say("Keep"), KEEP)],
            value=RANDOM,
            label=say("Next seed"),
            elem_id=f"{kind}-seed-mode",
            elem_classes="segmented",
            min_width=205,
            scale=2,
        )
    # Who types a seed wants that one (page.js presses Keep); the dice throws it away, in the browser, since the next
    # press may come at once.
    box = f"document.querySelector('#{kind}-seed input')"
    chosen = f"document.querySelector('#{kind}-seed-mode input:checked').value"
    mode.input(None, None, seed, js=f"() => {chosen} === '{RANDOM}' ? '' : {box}.value", **QUIET)
    return seed, mode


def count_stepper(kind: Kind) -> gr.Number:
    """How many pictures, in the row of the buttons."""
    with gr.Row(elem_classes="count-stepper", elem_id=f"{kind}-stepper"):
        less = gr.Button("−", min_width=36, elem_classes="step", elem_id=f"{kind}-fewer")
        # No bounds here: what is out of them is refused in the words of the field, beside it.
        count = gr.Number(
            1,
            label=say("Pictures"),
            show_label=False,
            precision=0,
            min_width=40,
            container=False,
            elem_id=f"{kind}-count",
        )
        more = gr.Button("+", min_width=36, elem_classes="step", elem_id=f"{kind}-count-more")
    for button, by in ((less, -1), (more, 1)):
        script = f"count => Math.min({MAX_COUNT}, Math.max(1, (count ?? 1) + {by}))"
        button.click(None, count, count, js=script, **QUIET)
    return count


def settings(kind: Kind, request: type[PresetRequest], info: ImageModelInfo) -> dict[str, gr.components.Component]:
    """The settings that have a good default, by name."""
    best = BY_MODEL if info.own_recipe else BY_PRESET
    own = {"num_inference_steps": info.num_inference_steps, "guidance_scale": info.guidance_scale}
    schema = request.model_json_schema()
    fields: dict[str, gr.components.Component] = {}
    for row in (BOXES[:2], BOXES[2:]):
        with gr.Row(equal_height=True):
            for name in row:
                value = f" ({own[name]:g})" if info.own_recipe and name in own else ""
                hint = _hint(best, value) if name in own else say("from the preset")
                fields[name] = _number(say(title_of(schema, [name])), hint, field_id(kind, name))
    if info.fixed_sizes:
        gr.HTML(built(lambda: f'<p class="hint">{size_note(info)}</p>'), elem_id=f"{kind}-size-note")
    fields["sampler"] = gr.Dropdown(
        [(built(lambda: _capital(say(best))), ""), *((name, name) for name in info.samplers)],
        value="",
        label=say(title_of(schema, ["sampler"])),
        elem_id=f"{kind}-sampler",
    )
    return fields


def size_note(info: ImageModelInfo) -> str:
    """What a width and a height come to where the model draws at sizes of its own."""
    sizes = say(" or ").join(f"{width} × {height}" for width, height in info.sizes)
    return say(
        "The demo model draws {sizes} pixels, and the picture is enlarged to the size that is asked for.", sizes=sizes
    )


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _hint(text: str, value: str) -> str:
    return built(lambda: f"{say(text)}{value}")


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
