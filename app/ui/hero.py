"""The Hero tab: a wide picture for a post, from a description or from the post's own words."""

from __future__ import annotations

import gradio as gr

from app.i18n.texts import mark, say
from app.presets import ASPECTS
from app.studio import Studio
from app.ui.batch import batch_list
from app.ui.examples import example_cards, surprise_button, wire_examples
from app.ui.image_form import (
    ImageForm,
    count_stepper,
    keep,
    negative_prompt_box,
    prompt_box,
    seed_row,
    settings,
)
from app.ui.image_results import image_results
from app.ui.image_tab import ImageTab, wire
from app.ui.preset_cards import preset_picker
from app.ui.work import QUIET, Updates, Values, controls
from app.work.presets import HeroRequest, PresetRequest
from engines.errors import InvalidRequest

DESCRIBE = "describe"
POST = "post"

NOTHING_SAID = mark("Write the title or the summary of the post: the picture is made of them.")


def hero_tab(studio: Studio, jobs: gr.Textbox) -> ImageTab:
    """Build the tab inside the current `gr.Tabs`. `jobs`: see `kept_jobs`."""
    with gr.Tab(say("Hero"), id="hero", elem_id="hero-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            source, prompt, title, summary = _words()
            surprise = surprise_button("hero")
            preset = preset_picker("hero", studio)
            aspect = gr.Radio(
                [(say("From the preset"), ""), *((name, name) for name in ASPECTS)],
                value="",
                label=say("Aspect"),
                elem_id="hero-aspect",
                elem_classes="pills small",
            )
            with gr.Accordion(say("More settings"), open=False, elem_id="hero-advanced", elem_classes="more-settings"):
                negative = negative_prompt_box("hero")
                seed, mode = seed_row("hero")
                boxes = settings("hero", HeroRequest, studio.image.info)
            with gr.Row(elem_classes="go-row"):
                count = count_stepper("hero")
                buttons = controls("hero", say("Generate"), jobs)
        with gr.Column(scale=7, min_width=340, elem_classes="result-column"):
            batch = batch_list("hero")
            cards = example_cards("hero", studio)
            results = image_results("hero")
    words = {"prompt": prompt, "title": title, "summary": summary, "preset": preset, "aspect": aspect}
    rest = {"negative_prompt": negative, "seed": seed, "count": count, **boxes}
    form = ImageForm("hero", HeroRequest, {**words, **rest}, mode)

    wire_examples(studio, form, cards, surprise, {source: DESCRIBE})

    def read(values: Values, seed: int) -> list[PresetRequest]:
        if values[source] != POST:
            return form.read_each({**values, title: "", summary: ""}, seed)
        if not f"{values[title] or ''}{values[summary] or ''}".strip():
            raise InvalidRequest("title", say(NOTHING_SAID))
        return [form.read({**values, prompt: ""}, seed)]

    def refill(request: PresetRequest) -> Updates:
        assert isinstance(request, HeroRequest)
        return {source: DESCRIBE if request.prompt else POST}

    keep("hero", [source, *form.fields.values(), mode])
    return wire(
        ImageTab(
            form,
            own_fields={source},
            controls=buttons,
            batch=batch,
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
        [(say("Describe it"), DESCRIBE), (say("From a post"), POST)],
        value=DESCRIBE,
        label=say("Words"),
        show_label=False,
        elem_id="hero-source",
        elem_classes="segmented",
    )
    prompt = prompt_box("hero", say("What does it show? e.g. mountains above a lake at sunrise"))
    title = gr.Textbox(label=say("Title of the post"), visible=False, elem_id="hero-title")
    summary = gr.Textbox(
        label=say("Summary"), placeholder=say("Optional"), lines=2, max_lines=6, visible=False, elem_id="hero-summary"
    )

    def show(chosen: str) -> list[gr.Textbox]:
        post = chosen == POST
        return [gr.Textbox(visible=not post), gr.Textbox(visible=post), gr.Textbox(visible=post)]

    source.change(show, source, [prompt, title, summary], **QUIET)
    return source, prompt, title, summary
