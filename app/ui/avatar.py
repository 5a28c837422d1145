"""The Avatar tab: a picture of somebody, from words and perhaps a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.ui.again import FormValues
from app.ui.image_form import ImageForm, advanced, negative_prompt_box, preset_picker, seed_row
from app.ui.image_results import image_results
from app.ui.image_tab import ImageTab, wire
from app.ui.work import QUIET, Updates, Values, controls
from app.work.recipes import image_request
from app.work.studio import Studio
from engines.types import ImageRequest

DEFAULT_STRENGTH = 0.6


def avatar_tab(studio: Studio) -> None:
    """Build the tab inside the current `gr.Tabs`."""
    with gr.Tab("Avatar", id="avatar", elem_id="avatar-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            prompt = gr.Textbox(
                label="Prompt",
                placeholder="Who is it? e.g. a smiling woman with short red hair and round glasses",
                lines=2,
                max_lines=8,
                elem_id="avatar-prompt",
            )
            preset, note = preset_picker("avatar", studio.presets)
            negative = negative_prompt_box("avatar")
            seed, mode, drawn, count = seed_row("avatar")
            photo, strength = _photo()
            width, height, steps, guidance, sampler = advanced("avatar", studio.image.info)
            buttons = controls("avatar", "Generate")
        with gr.Column(scale=7, min_width=340, elem_classes="result-column"):
            results = image_results("avatar")
    form = ImageForm(
        "avatar", preset, note, negative, seed, mode, drawn, count, width, height, steps, guidance, sampler
    )

    def to_request(values: Values, seed: int) -> tuple[ImageRequest, str | None]:
        preset_id = form.preset_id(values)
        chosen = studio.presets.get("avatar", preset_id) if preset_id else None
        fields = form.common(values, seed)
        if values[photo]:
            fields |= {"init_image": Path(values[photo]), "strength": values[strength]}
        return image_request(chosen, studio.image.info, prompt=values[prompt] or "", **fields), preset_id

    def refill(again: FormValues) -> Updates:
        return {prompt: again.prompt, photo: None, strength: again.strength}

    wire(
        ImageTab(
            form,
            own_fields={prompt, photo, strength},
            submit_by=(prompt,),
            controls=buttons,
            results=results,
            to_request=to_request,
            refill=refill,
        ),
        studio,
    )


def _photo() -> tuple[gr.Image, gr.Slider]:
    """A photo to start from, and how far to go from it."""
    with gr.Accordion("Start from a photo", open=False, elem_id="avatar-photo-box"):
        photo = gr.Image(
            label="Photo",
            show_label=False,
            sources=["upload", "webcam", "clipboard"],
            height=220,
            elem_id="avatar-photo",
        )
        strength = gr.Slider(
            0.05,
            1.0,
            DEFAULT_STRENGTH,
            step=0.05,
            label="Photo strength (how far to go from it)",
            info="Low keeps the photo, high keeps little but its colours.",
            visible=False,
            elem_id="avatar-strength",
        )
    # gr.Image opens the file itself, and for one that is no picture tells the person nothing but "Error". The engine
    # opens it anyway, and says what is wrong. (A subclass would do, but has Gradio write a .pyi file beside this one.)
    photo.preprocess = _path_only
    photo.change(lambda path: gr.Slider(visible=path is not None), photo, strength, **QUIET)
    return photo, strength


def _path_only(payload: Any) -> str | None:
    return None if payload is None else payload.path
