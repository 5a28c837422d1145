"""The Avatar tab: a picture of somebody, from words and perhaps a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.studio import Studio
from app.ui.image_form import ImageForm, advanced, negative_prompt_box, preset_picker, seed_row
from app.ui.image_results import image_results
from app.ui.image_tab import ImageTab, wire
from app.ui.work import QUIET, Updates, Values, controls
from app.work.presets import AvatarRequest, PresetRequest

DEFAULT_STRENGTH: float = AvatarRequest.model_fields["photo_strength"].default


def avatar_tab(studio: Studio, running: gr.BrowserState) -> None:
    """Build the tab inside the current `gr.Tabs`. `running`: see `running_job`."""
    with gr.Tab("Avatar", id="avatar", elem_id="avatar-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            prompt = gr.Textbox(
                label="Prompt",
                placeholder="Who is it? e.g. a smiling woman with short red hair and round glasses",
                lines=2,
                max_lines=8,
                elem_id="avatar-prompt",
            )
            preset = preset_picker("avatar", studio.presets)
            negative = negative_prompt_box("avatar")
            seed, mode, drawn = seed_row("avatar")
            photo, strength = _photo()
            settings = advanced("avatar", AvatarRequest, studio.image.info)
            buttons = controls("avatar", "Generate", running)
        with gr.Column(scale=7, min_width=340, elem_classes="result-column"):
            results = image_results("avatar")
    words = {"prompt": prompt, "preset": preset, "negative_prompt": negative, "photo_strength": strength}
    form = ImageForm("avatar", AvatarRequest, words | seed | settings, mode, drawn)

    def files(values: Values) -> dict[str, Path]:
        return {"photo": Path(values[photo])} if values[photo] else {}

    def refill(request: PresetRequest) -> Updates:
        assert isinstance(request, AvatarRequest)
        if request.photo_sha256 is not None:
            gr.Info("The photo itself is not kept: add it again for the same picture.", title="One thing is missing")
        return {photo: None}

    wire(
        ImageTab(
            form,
            own_fields={photo},
            submit_by=(prompt,),
            controls=buttons,
            results=results,
            read=form.read,
            files=files,
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
