"""The Library tab: everything that the account has made.

The list itself is the page's own element, `<carrot-library>` of static/library.js, which asks the studio for it. Here
are its texts, and the event that fills another tab's form with what something was made of.
"""

from __future__ import annotations

import html
import json
from typing import Any

import gradio as gr

from app.i18n.texts import built, mark, say
from app.jobs.errors import JobNotFound
from app.jobs.model import Job
from app.presets import KINDS, NO_PRESET
from app.studio import Studio
from app.ui.account import account_of
from app.ui.image_tab import ImageTab, filled_in
from app.ui.transcribe import TranscribeTab, file_again
from app.ui.work import QUIET, Updates, Values
from app.work.image import PicturesResult, PlainRequest
from app.work.presets import AvatarRequest, HeroRequest, PresetRequest
from engines.requests import parse

PICTURES = ["avatar", "hero", "image"]
TRANSCRIPTS = ["transcription", "live"]

WORDS: dict[str, Any] = {
    "search": mark("Search prompts, titles and transcripts"),
    "kinds": [
        [mark("Everything"), []],
        [mark("Pictures"), PICTURES],
        [mark("Avatars"), ["avatar"]],
        [mark("Heroes"), ["hero"]],
        [mark("Transcripts"), TRANSCRIPTS],
    ],
    "filters": mark("What is shown"),
    "favourites": mark("Favourites"),
    "any_preset": mark("Any preset"),
    "any_model": mark("Any model"),
    "list": mark("What was made, newest first"),
    "all": mark("{n} shown, that is all."),
    "some": mark("{n} shown."),
    "more": mark("Load more"),
    "selection": mark("With what is selected"),
    "selected": mark("{n} selected"),
    "compare": mark("Compare"),
    "compare_two": mark("Select two pictures to compare them."),
    "compare_title": mark("Two pictures compared"),
    "divide": mark("Where the first picture ends and the second begins"),
    "zip": mark("Download zip"),
    "zip_name": "carrot-studio.zip",
    "packing": mark("Packing…"),
    "packed": mark("The archive is among your downloads."),
    "delete": mark("Delete"),
    "clear": mark("Clear selection"),
    "sure": mark("Delete these {n} for good? Their files go as well. What was posted elsewhere stays there."),
    "sure_one": mark("Delete “{name}” for good? Its files go as well. What was posted elsewhere stays there."),
    "deleted": mark("{n} deleted."),
    "deleted_one": mark("Deleted."),
    "empty_title": mark("Nothing here yet"),
    "empty_text": mark("Pictures and transcripts gather here as you make them."),
    "none_title": mark("Nothing like that here"),
    "none_text": mark("No prompt, title, transcript or file name has all of these words with these filters."),
    "all_again": mark("Show everything"),
    "untitled": mark("Without words"),
    "recording": mark("Recording"),
    "no_speech": mark("No speech was found."),
    "many": mark("{n} pictures"),
    "picture": mark("Picture {n}"),
    "open": mark("Open {name}"),
    "select": mark("Select {name}"),
    "select_short": mark("Select"),
    "mark": mark("Favourite: {name}"),
    "favourite": mark("Favourite"),
    "download": mark("Download PNG"),
    "use": mark("Use these settings"),
    "again": mark("Transcribe again"),
    "close": mark("Close"),
    "unreachable": mark("The studio could not be reached. Try again in a moment."),
    "recipe": {
        "prompt": mark("Prompt"),
        "negative_prompt": mark("Negative prompt"),
        "preset": mark("Preset"),
        "size": mark("Size"),
        "seed": mark("Seed"),
        "num_inference_steps": mark("Steps"),
        "guidance_scale": mark("Guidance"),
        "sampler": mark("Sampler"),
        "photo_strength": mark("Photo strength"),
        "model": mark("Model"),
    },
}


def library_tab(studio: Studio, tabs: gr.Tabs, images: dict[str, ImageTab], transcribe: TranscribeTab) -> None:
    """Build the tab inside `tabs`, after the others. `images`: the tabs for pictures by kind."""
    with gr.Tab(say("Library"), id="library", elem_id="library-tab"):
        status = gr.HTML("", elem_id="library-status", container=False)
        gr.HTML(built(lambda: library_html(studio)), elem_id="library", apply_default_css=False)
        with gr.Row(elem_classes="unseen"):
            use = gr.Button("Use", elem_id="library-use")
            chosen = gr.Textbox(show_label=False)

    async def fill_in(values: Values, request: gr.Request) -> Updates:
        job_id, _, number = str(values[chosen]).partition(":")
        job = await studio.queue.get(job_id, account_of(request))
        if isinstance(job.result, PicturesResult):
            place = int(number) if number.isdecimal() else 0
            if place >= len(job.result.images):
                raise JobNotFound(job_id)
            asked, tab = as_form(job, images)
            filled = filled_in(tab, studio, asked, job.result.images[place].seed)
            return {status: "", tabs: gr.Tabs(selected=tab.form.kind), **filled}
        return {status: "", tabs: gr.Tabs(selected="transcribe"), **await file_again(transcribe, studio, job)}

    # Its own line of status first, which is where a failure is told.
    outputs = [status, tabs, *transcribe.fields, *(field for tab in images.values() for field in tab.fields)]
    # A text that a script puts into a field is not seen by Gradio; what an event's own script returns is.
    use.click(fill_in, {chosen}, outputs, js="() => window.carrotLibraryChoice", **QUIET)


def library_html(studio: Studio) -> str:
    """The element with its texts."""
    presets = {preset.id: say(preset.name) for kind in KINDS for preset in studio.presets.of(kind)}
    words, names = (html.escape(json.dumps(given)) for given in (_said(WORDS), presets))
    return f'<carrot-library words="{words}" presets="{names}"></carrot-library>'


def _said(words: Any) -> Any:
    """The texts among them in the language at hand; ids of kinds and the archive's name are none."""
    if isinstance(words, dict):
        return {name: word if name == "zip_name" else _said(word) for name, word in words.items()}
    if isinstance(words, list):
        return [[say(label), kinds] for label, kinds in words]
    return say(words)


def as_form(job: Job, images: dict[str, ImageTab]) -> tuple[PresetRequest, ImageTab]:
    """The request of a job with pictures as a form has it, and which form that is.

    One that was made of a whole prompt fits the form of its shape, without a preset.
    """
    if isinstance(job.request, PresetRequest):
        return job.request, images[job.kind]
    assert isinstance(job.request, PlainRequest)
    assert isinstance(job.result, PicturesResult)
    sent, recipe = job.request, job.result.images[0].recipe
    names = ("prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "sampler")
    values = {name: value for name in names if (value := getattr(sent, name)) is not None}
    values |= {"preset": NO_PRESET, "width": recipe.width, "height": recipe.height}
    if recipe.width > recipe.height and sent.photo is None and sent.photo_sha256 is None:
        return parse(HeroRequest, values), images["hero"]
    for name in ("photo", "photo_sha256", "photo_strength"):
        if (value := getattr(sent, name)) is not None:
            values[name] = value
    return parse(AvatarRequest, values), images["avatar"]
