"""The Hero tab: a wide picture for a post, from a description or from the post's own words."""

from __future__ import annotations

import gradio as gr

from app.presets import ASPECTS
from app.ui.again import FormValues, aspect_of
from app.ui.image_form import ImageForm, advanced, negative_prompt_box, preset_picker, seed_row
from app.ui.image_results import image_results
from app.ui.image_tab import ImageTab, wire
from app.ui.work import QUIET, Updates, Values, controls
from app.work.recipes import hero_prompt, image_request
from app.work.studio import Studio
from engines.types import ImageRequest

DESCRIBE = "describe"
POST = "post"


def hero_tab(studio: Studio) -> None:
    """Build the tab inside the current `gr.Tabs`."""
    with gr.Tab("Hero", id="hero", elem_id="hero-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            source, prompt, title, summary = _words()
            preset, note = preset_picker("hero", studio.presets)
            aspect = gr.Radio(
                [("From the preset", ""), *((name, name) for name in ASPECTS)],
                value="",
                label="Aspect",
                elem_id="hero-aspect",
                elem_classes="pills small",
            )
            negative = negative_prompt_box("hero")
            seed, mode, drawn, count = seed_row("hero")
            width, height, steps, guidance, sampler = advanced("hero", studio.image.info)
            buttons = controls("hero", "Generate")
        with gr.Column(scale=7, min_width=340, elem_classes="result-column"):
            results = image_results("hero")
    form = ImageForm("hero", preset, note, negative, seed, mode, drawn, count, width, height, steps, guidance, sampler)

    def to_request(values: Values, seed: int) -> tuple[ImageRequest, str | None]:
        preset_id = form.preset_id(values)
        chosen = studio.presets.get("hero", preset_id) if preset_id else None
        words = values[prompt] or ""
        if values[source] == POST:
            words = hero_prompt(values[title] or "", values[summary] or "")
        fields = form.common(values, seed) | {"aspect": values[aspect] or None}
        return image_request(chosen, studio.image.info, prompt=words, **fields), preset_id

    def refill(again: FormValues) -> Updates:
        # The post's own words are not stored, the description made of them is.
        updates: Updates = {source: DESCRIBE, prompt: again.prompt, aspect: ""}
        if again.width and again.height and (name := aspect_of(again.width, again.height)):
            updates |= {aspect: name, form.width: "", form.height: ""}
        return updates

    wire(
        ImageTab(
            form,
            own_fields={source, prompt, title, summary, aspect},
            submit_by=(prompt, title),
            controls=buttons,
            results=results,
            to_request=to_request,
            refill=refill,
        ),
        studio,
    )


def _words() -> tuple[gr.Radio, gr.Textbox, gr.Textbox, gr.Textbox]:
    """A description, or the title and summary of a post."""
    source = gr.Radio(
        [("Describe it", DESCRIBE), ("From a post", POST)],
        value=DESCRIBE,
        label="Words",
        show_label=False,
        elem_id="hero-source",
        elem_classes="segmented",
    )
    prompt = gr.Textbox(
        label="Prompt",
        placeholder="What does it show? e.g. mountains above a lake at sunrise",
        lines=2,
        max_lines=8,
        elem_id="hero-prompt",
    )
    title = gr.Textbox(label="Title of the post", visible=False, elem_id="hero-title")
    summary = gr.Textbox(
        label="Summary", placeholder="Optional", lines=2, max_lines=6, visible=False, elem_id="hero-summary"
    )

    def show(chosen: str) -> list[gr.Textbox]:
        post = chosen == POST
        return [gr.Textbox(visible=not post), gr.Textbox(visible=post), gr.Textbox(visible=post)]

    source.change(show, source, [prompt, title, summary], **QUIET)
    return source, prompt, title, summary
