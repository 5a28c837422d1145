"""The Avatar tab: a picture of somebody, from words and perhaps a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.i18n.texts import finished, mark, say
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
from app.ui.image_tab import ImageTab, named, wire
from app.ui.preset_cards import preset_picker
from app.ui.progress import field_note_html, problem_html
from app.ui.work import QUIET, Updates, Values, controls
from app.work.presets import AvatarRequest, PresetRequest
from engines.errors import InvalidMedia
from engines.requests import ImageRequest

DEFAULT_STRENGTH: float = AvatarRequest.model_fields["photo_strength"].default

PHOTO_GONE = mark("The photo itself is not kept: add it again for the same picture.")


def avatar_tab(studio: Studio, jobs: gr.Textbox) -> ImageTab:
    """Build the tab inside the current `gr.Tabs`. `jobs`: see `kept_jobs`."""
    with gr.Tab(say("Avatar"), id="avatar", elem_id="avatar-tab"), gr.Row(elem_classes="studio"):
        with gr.Column(scale=5, min_width=340, elem_classes="form-column"):
            prompt = prompt_box("avatar", say("Who is it? e.g. a smiling woman with short red hair and round glasses"))
            surprise = surprise_button("avatar")
            preset = preset_picker("avatar", studio)
            with gr.Accordion(
                say("More settings"), open=False, elem_id="avatar-advanced", elem_classes="more-settings"
            ):
                negative = negative_prompt_box("avatar")
                photo, strength = _photo()
                seed, mode = seed_row("avatar")
                boxes = settings("avatar", AvatarRequest, studio.image.info)
            with gr.Row(elem_classes="go-row"):
                count = count_stepper("avatar")
                buttons = controls("avatar", say("Generate"), jobs)
        with gr.Column(scale=7, min_width=340, elem_classes="result-column"):
            batch = batch_list("avatar")
            cards = example_cards("avatar", studio)
            results = image_results("avatar")
    words = {"prompt": prompt, "preset": preset, "negative_prompt": negative, "photo_strength": strength}
    form = ImageForm("avatar", AvatarRequest, {**words, "seed": seed, "count": count, **boxes}, mode)

    wire_examples(studio, form, cards, surprise, {photo: None})

    def files(values: Values) -> dict[str, Path]:
        return {"photo": Path(values[photo])} if values[photo] else {}

    def refill(request: PresetRequest) -> Updates:
        assert isinstance(request, AvatarRequest)
        missing = (
            {} if request.photo_sha256 is None else {results.status: field_note_html(say(PHOTO_GONE), "avatar-photo")}
        )
        return {photo: None, **missing}

    def look_at(path: str | None) -> Updates:
        """At once, and not when it is sent: the browser would draw what is no picture as a broken one."""
        try:
            studio.image.check(ImageRequest(prompt="photo", seed=0), Path(path or ""))
        except InvalidMedia as error:
            refused = named(error, Path(path or ""))
            return {photo: None, results.status: problem_html(finished(str(refused)), "avatar-photo")}
        return {}

    photo.upload(look_at, photo, [photo, results.status], **QUIET)
    keep("avatar", [*form.fields.values(), mode, photo])
    return wire(
        ImageTab(
            form,
            own_fields={photo},
            controls=buttons,
            batch=batch,
            results=results,
            read=form.read_each,
            files=files,
            refill=refill,
        ),
        studio,
    )


def _photo() -> tuple[gr.Image, gr.Slider]:
    """A photo to start from, and how far to go from it."""
    photo = gr.Image(
        label=say("Start from a photo"),
        sources=["upload", "webcam", "clipboard"],
        height=160,
        elem_id="avatar-photo",
    )
    strength = gr.Slider(
        0.05,
        1.0,
        DEFAULT_STRENGTH,
        step=0.05,
        label=say("Photo strength (how far to go from it)"),
        info=say("Low keeps the photo, high keeps little but its colours."),
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
