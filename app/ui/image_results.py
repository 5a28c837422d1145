"""Where pictures appear: progress, gallery, downloads, the recipe, and the recent ones."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.concurrency import run_blocking
from app.jobs.model import Job
from app.presets import Kind
from app.studio import Studio
from app.ui.files import served, thumbnail, zipped
from app.ui.progress import note_html
from app.ui.work import Updates
from app.work.image import PicturesResult

RECENT = 12
"""Jobs in the row of recent ones; two rows of six on a wide screen."""


@dataclass(frozen=True, slots=True)
class ImageResults:
    """The right half of an image tab."""

    status: gr.HTML
    gallery: gr.Gallery
    actions: gr.Row
    download: gr.DownloadButton
    download_all: gr.DownloadButton
    again: gr.Button
    recipe_box: gr.Accordion
    recipe: gr.JSON
    recent_box: gr.Column
    recent: gr.Gallery
    shown: gr.State
    """Id of the job in the gallery."""
    picked: gr.State
    """Number of the picture in the gallery that downloads and recipe are of."""
    recent_ids: gr.State

    @property
    def components(self) -> list[gr.components.Component]:
        """Everything that showing a job changes."""
        return [
            self.status,
            self.gallery,
            self.actions,
            self.download,
            self.download_all,
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
        label="Pictures",
        show_label=False,
        columns=1,
        object_fit="contain",
        interactive=False,
        buttons=["fullscreen"],
        elem_id=f"{kind}-gallery",
        elem_classes="result-gallery",
    )
    with gr.Row(visible=False, elem_classes="result-actions") as actions:
        download = gr.DownloadButton("Download PNG", size="md", elem_id=f"{kind}-download", min_width=120)
        download_all = gr.DownloadButton("Download all (zip)", size="md", elem_id=f"{kind}-zip", min_width=120)
        again = gr.Button("Use these settings again", size="md", elem_id=f"{kind}-again", min_width=170)
    with gr.Accordion(
        "Recipe", open=False, visible=False, elem_id=f"{kind}-recipe-box", elem_classes="result-recipe"
    ) as recipe_box:
        recipe = gr.JSON(show_label=False, open=True, buttons=["copy"], elem_id=f"{kind}-recipe")
    with gr.Column(visible=False, elem_classes="recent-box") as recent_box:
        gr.HTML('<h2 class="recent-head">Recent</h2>')
        recent = gr.Gallery(
            label="Recent",
            show_label=False,
            columns=6,
            object_fit="cover",
            interactive=False,
            allow_preview=False,
            buttons=[],
            fit_columns=False,
            elem_id=f"{kind}-recent",
            elem_classes="recent-gallery",
        )
    return ImageResults(
        status,
        gallery,
        actions,
        download,
        download_all,
        again,
        recipe_box,
        recipe,
        recent_box,
        recent,
        shown=gr.State(None),
        picked=gr.State(0),
        recent_ids=gr.State([]),
    )


async def shown_job(view: ImageResults, studio: Studio, job: Job) -> Updates:
    """Show a job that has a result."""
    result = _result_of(job)
    paths = [await run_blocking(served, studio, job, file) for file in job.files]
    captions = [f"Seed {image.seed}" for image in result.images]
    many = len(paths) > 1
    return {
        view.status: note_html(job, done_words(result), "done"),
        view.gallery: gr.Gallery(
            value=list(zip(paths, captions, strict=True)), columns=2 if many else 1, selected_index=None
        ),
        view.actions: gr.Row(visible=True),
        view.download_all: gr.DownloadButton(
            value=await run_blocking(zipped, studio, job) if many else None, visible=many
        ),
        view.recipe_box: gr.Accordion(visible=True),
        view.shown: job.id,
        **await picked_image(view, studio, job, 0),
    }


async def picked_image(view: ImageResults, studio: Studio, job: Job, number: int) -> Updates:
    """Point downloads and recipe at one picture of the job."""
    images = _result_of(job).images
    many = len(images) > 1
    title = f"Recipe of picture {number + 1}" if many else "Recipe"
    path = await run_blocking(served, studio, job, job.files[number])
    return {
        view.download: gr.DownloadButton(f"Download PNG {number + 1}" if many else "Download PNG", value=path),
        view.recipe_box: gr.Accordion(label=title, visible=True),
        view.recipe: images[number].recipe.model_dump(exclude_none=True),
        view.picked: number,
    }


def done_words(result: PicturesResult) -> str:
    count = len(result.images)
    size = f"{result.images[0].width} × {result.images[0].height}"
    words = f"{count} picture{'s' if count > 1 else ''}, {size}, in {result.seconds:.1f} s"
    return f"{words} · {result.model_label}" if result.demo else words


async def recent_jobs(view: ImageResults, studio: Studio, account: str, kind: Kind) -> Updates:
    """The account's newest jobs of this tab."""
    jobs = await studio.queue.recent(account, kind, RECENT)
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
    return f"{count} pictures" if count > 1 else None
