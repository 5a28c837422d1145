"""Where pictures appear: progress, gallery, what can be done with them, the recipe, and the recent ones."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.concurrency import run_blocking
from app.i18n.texts import built, finished, say, say_n
from app.jobs.model import Job
from app.presets import Kind
from app.studio import Studio
from app.ui.amounts import number
from app.ui.files import served, thumbnail, zipped
from app.ui.picture_bar import picture_bar
from app.ui.progress import note_html
from app.ui.work import Updates
from app.work.image import Picture, PicturesResult

RECENT = 12
"""Jobs among the recent ones: a row on a wide screen, three of four on a phone."""


@dataclass(frozen=True, slots=True)
class ImageResults:
    """The right half of an image tab."""

    kind: Kind
    status: gr.HTML
    gallery: gr.Gallery
    bar: gr.HTML
    again: gr.Button
    """Pressed by the bar, as are the next four: see picture_bar.py."""
    more: gr.Button
    as_photo: gr.Button
    favourite: gr.Button
    delete: gr.Button
    recipe_box: gr.Accordion
    recipe: gr.JSON
    recent_box: gr.Column
    recent: gr.Gallery
    shown: gr.State
    """Id of the job in the gallery."""
    picked: gr.State
    """Number of the picture in the gallery that downloads and recipe are of."""
    recent_ids: gr.State
    pressed: gr.Textbox
    """Carries what the script of an event gives."""

    @property
    def components(self) -> list[gr.components.Component]:
        """Everything that showing a job changes."""
        return [
            self.status,
            self.gallery,
            self.bar,
            self.recipe_box,
            self.recipe,
            self.recent_box,
            self.recent,
            self.shown,
            self.picked,
            self.recent_ids,
        ]


def image_results(kind: Kind) -> ImageResults:
    """Lay the components out; call it inside the tab's right column."""
    status = gr.HTML("", elem_id=f"{kind}-status", container=False)
    gallery = gr.Gallery(
        label=say("Pictures"),
        show_label=False,
        columns=1,
        object_fit="contain",
        interactive=False,
        # A press opens the picture large: static/pictures.js.
        allow_preview=False,
        buttons=[],
        elem_id=f"{kind}-gallery",
        elem_classes="result-gallery",
    )
    bar = gr.HTML("", elem_id=f"{kind}-bar", elem_classes="result-bar", apply_default_css=False)
    with gr.Row(elem_classes="unseen"):
        again, more, as_photo, favourite, delete = (
            gr.Button(what, elem_id=f"{kind}-{what}-event")
            for what in ("again", "more", "as-photo", "favourite", "delete")
        )
        pressed = gr.Textbox(show_label=False)
    with gr.Accordion(
        say("Recipe"), open=False, visible=False, elem_id=f"{kind}-recipe-box", elem_classes="result-recipe"
    ) as recipe_box:
        recipe = gr.JSON(show_label=False, open=True, buttons=["copy"], elem_id=f"{kind}-recipe")
    with gr.Column(visible=False, elem_classes="recent-box") as recent_box:
        gr.HTML(built(recent_head))
        recent = gr.Gallery(
            label=say("Recent"),
            show_label=False,
            columns=RECENT,
            object_fit="cover",
            interactive=False,
            allow_preview=False,
            buttons=[],
            fit_columns=False,
            elem_id=f"{kind}-recent",
            elem_classes="recent-gallery",
        )
    return ImageResults(
        kind,
        status,
        gallery,
        bar,
        again,
        more,
        as_photo,
        favourite,
        delete,
        recipe_box,
        recipe,
        recent_box,
        recent,
        shown=gr.State(None),
        picked=gr.State(0),
        recent_ids=gr.State([]),
        pressed=pressed,
    )


async def shown_job(view: ImageResults, studio: Studio, job: Job) -> Updates:
    """Show a job that has a result."""
    result = _result_of(job)
    paths = [await run_blocking(served, studio, job, file) for file in job.files]
    many = len(paths) > 1
    # Of a single one the row below tells it.
    captions = [say("Seed {seed}", seed=image.seed) if many else None for image in result.images]
    return {
        view.status: note_html(job, done_words(result), "done"),
        view.gallery: gr.Gallery(
            value=list(zip(paths, captions, strict=True)), columns=2 if many else 1, selected_index=None
        ),
        view.recipe_box: gr.Accordion(visible=True),
        view.shown: job.id,
        **await picked_image(view, studio, job, 0),
    }


async def picked_image(view: ImageResults, studio: Studio, job: Job, number: int) -> Updates:
    """Point what can be done, and the recipe, at one picture of the job."""
    images = _result_of(job).images
    many = len(images) > 1
    title = say("Recipe of picture {n}", n=number + 1) if many else say("Recipe")
    everything = await run_blocking(zipped, studio, job) if many else None
    lacks = await run_blocking(studio.cut_outs.missing) if view.kind == "avatar" else ""
    favourite = await studio.queue.library.is_favourite(job)
    return {
        view.bar: picture_bar(view.kind, job, number, everything, favourite=favourite, no_background=lacks),
        view.recipe_box: gr.Accordion(label=title, visible=True),
        view.recipe: images[number].recipe.model_dump(exclude_none=True),
        view.picked: number,
    }


def recent_head() -> str:
    return f'<h2 class="recent-head">{say("Recent")}</h2>'


def nothing_shown(view: ImageResults, told: str) -> Updates:
    """As before the first picture, with a line of what happened."""
    return {
        view.status: f'<div class="progress note" role="status"><span>{told}</span></div>',
        view.gallery: gr.Gallery(value=None, selected_index=None),
        view.bar: "",
        view.recipe_box: gr.Accordion(visible=False),
        view.shown: None,
        view.picked: 0,
    }


def done_words(result: PicturesResult) -> str:
    count, first = len(result.images), result.images[0]
    words = say_n(
        "{n} picture, {size}, in {seconds} s",
        "{n} pictures, {size}, in {seconds} s",
        count,
        size=_size_words(first),
        seconds=number(result.seconds),
    )
    return f"{words} · {finished(result.model_label)}" if result.demo else words


def _size_words(picture: Picture) -> str:
    """What was asked for, and where the model worked smaller than that also how large it was."""
    size, recipe = f"{picture.width} × {picture.height}", picture.recipe
    if not recipe.enlarged:
        return size
    drawn = f"{recipe.rendered_width} × {recipe.rendered_height}"
    return say("drawn at {drawn} and enlarged to {size}", drawn=drawn, size=size)


async def recent_jobs(view: ImageResults, studio: Studio, account: str, kind: Kind) -> Updates:
    """The account's newest jobs of this tab."""
    jobs = await studio.queue.library.recent(account, kind, RECENT)
    tiles = [(await run_blocking(thumbnail, studio, job), _tile_caption(job)) for job in jobs]
    return {
        view.recent_box: gr.Column(visible=bool(tiles)),
        view.recent: gr.Gallery(value=tiles, selected_index=None),
        view.recent_ids: [job.id for job in jobs],
    }


def _result_of(job: Job) -> PicturesResult:
    assert isinstance(job.result, PicturesResult)
    return job.result


def _tile_caption(job: Job) -> str | None:
    count = len(job.files)
    return say_n("{n} picture", "{n} pictures", count) if count > 1 else None
