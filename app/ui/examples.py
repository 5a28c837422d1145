"""Where nothing was made yet: examples that run with one press, and *Surprise me*."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.i18n.texts import built, mark, say
from app.presets import Kind
from app.studio import Studio
from app.ui.account import account_of
from app.ui.cache import gradio_cache
from app.ui.image_form import RANDOM, ImageForm
from app.ui.work import ONCE, QUIET, Updates
from app.work.showcase import Example, Idea
from engines.languages import primary

RECORDING = Path(__file__).parent / "static" / "example.ogg"
RECORDING_LANGUAGE = "en"
"""Nine seconds, made by training/make_speech_fixtures.py."""


def example_cards(kind: Kind, studio: Studio) -> list[gr.Button]:
    """One button an example. The style sheet shows them where the tab has nothing else to show, and
    `static/presets.js` gives them their pictures."""
    with gr.Column(elem_id=f"{kind}-examples", elem_classes="examples"):
        _head(mark("Start with one of these, or with your own words"))
        with gr.Row(elem_classes=["example-row", f"{kind}-example-row"]):
            return [
                gr.Button(
                    say(example.prompt), elem_id=f"{kind}-example-{number}", elem_classes="example-card", min_width=90
                )
                for number, example in enumerate(studio.showcase.of(kind).examples, start=1)
            ]


def surprise_button(kind: Kind) -> gr.Button:
    """Takes an idea and makes its picture."""
    return gr.Button(say("Surprise me"), size="sm", elem_id=f"{kind}-surprise", elem_classes="surprise")


def wire_examples(
    studio: Studio, form: ImageForm, cards: Sequence[gr.Button], surprise: gr.Button, also: Updates
) -> None:
    """A press fills the form and presses Generate. `also`: new values for what the form has beside its request."""
    showcase = studio.showcase.of(form.kind)
    first = studio.presets.of(form.kind)[0].id

    def filled(idea: Idea, seed: int) -> Updates:
        request = form.request.model_validate({"prompt": idea.prompt, "preset": idea.preset})
        return {**form.filled(request, seed, first), **also}

    def of_example(example: Example) -> Callable[[], Updates]:
        return lambda: filled(example, example.seed)

    def of_some_idea() -> Updates:
        # Its seed is not kept: the next press on Generate draws another.
        return {**filled(secrets.choice(showcase.ideas), 0), form.seed_mode: RANDOM, form.fields["seed"]: ""}

    outputs = [*form.components, *also]
    for card, example in zip(cards, showcase.examples, strict=True):
        _run(card, of_example(example), outputs, f"{form.kind}-go")
    _run(surprise, of_some_idea, outputs, f"{form.kind}-go")


def example_recording(studio: Studio) -> gr.Button | None:
    """One press transcribes a short recording; None where no model understands its language."""
    info = studio.speech.info
    if RECORDING_LANGUAGE not in {primary(model.language) for model in (info, *info.others)}:
        return None
    with gr.Column(elem_id="transcribe-examples", elem_classes="examples"):
        _head(mark("Nothing at hand? Listen to somebody else"))
        return gr.Button(say("Try an example recording"), elem_id="transcribe-example", elem_classes="example-sound")


def wire_recording(button: gr.Button, upload: gr.File) -> None:
    """A press chooses the file and presses Transcribe."""

    def chosen(request: gr.Request) -> list[str]:
        # Copied, because Gradio serves a caller what is in the caller's own folder only.
        copy = gradio_cache().new_folder(account_of(request)) / "example.ogg"
        shutil.copyfile(RECORDING, copy)
        return [str(copy)]

    _run(button, chosen, [upload], "transcribe-go")


def _head(text: str) -> None:
    gr.HTML(built(lambda: f'<h2 class="examples-head">{say(text)}</h2>'), apply_default_css=False)


def _run(button: gr.Button, fill: Callable[..., Any], outputs: Sequence[gr.components.Component], go: str) -> None:
    """Fill, then press `go`, which does the rest as if a person had pressed it."""
    filled = button.click(fill, None, list(outputs), **ONCE)
    filled.success(None, None, None, js=f"() => document.getElementById('{go}').click()", **QUIET)
