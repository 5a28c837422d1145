"""The Hero tab: a wide picture for a post, from a description or from the post's own words."""

from __future__ import annotations

import gradio as gr

from app.presets import ASPECTS
from app.studio import Studio
from app.ui.image_form import ImageForm, advanced, negative_prompt_box, preset_picker, seed_row
from app.ui.image_results import image_results
from app.ui.image_tab import ImageTab, wire
from app.ui.work import QUIET, Updates, Values, controls
from app.work.presets import HeroRequest, PresetRequest

DESCRIBE = "describe"
POST = "post"


def hero_tab(studio: Studio, running: gr.BrowserState) -> None:
    """Build the tab inside the current `gr.Tabs`. `running`: see `running_job`."""
    with gr.Tab("Hero", id="hero", elem_id="hero-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            source, prompt, title, summary = _words()
            preset = preset_picker("hero", studio.presets)
            aspect = gr.Radio(
                [("From the preset", ""), *((name, name) for name in ASPECTS)],
                value="",
                label="Aspect",
                elem_id="hero-aspect",
                elem_classes="pills small",
            )
            negative = negative_prompt_box("hero")
            seed, mode, drawn = seed_row("hero")
            settings = advanced("hero", HeroRequest, studio.image.info)
            buttons = controls("hero", "Generate", running)
        with gr.Column(scale=7, min_width=340, elem_classes="result-column"):
            results = image_results("hero")
    words = {"prompt": prompt, "title": title, "summary": summary, "preset": preset, "aspect": aspect}
    form = ImageForm("hero", HeroRequest, {**words, "negative_prompt": negative, **seed, **settings}, mode, drawn)

    def read(values: Values, seed: int) -> PresetRequest:
        unread = {prompt: ""} if values[source] == POST else {title: "", summary: ""}
        return form.read({**values, **unread}, seed)

    def refill(request: PresetRequest) -> Updates:
        assert isinstance(request, HeroRequest)
        return {source: DESCRIBE if request.prompt else POST}

    wire(
        ImageTab(
            form,
            own_fields={source},
            submit_by=(prompt, title),
            controls=buttons,
            results=results,
            read=read,
            files=lambda _: {},
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
