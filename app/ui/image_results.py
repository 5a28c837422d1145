"""Where pictures appear: progress, gallery, downloads, the recipe, and the recent ones."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.jobs.model import Job
from app.presets import Kind
from app.ui.again import belongs
from app.ui.files import served_images, thumbnail, zipped
from app.ui.progress import note_html
from app.ui.work import Updates
from app.work.studio import Studio

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
    with gr.Accordion("Recipe", open=False, visible=False, elem_id=f"{kind}-recipe-box") as recipe_box:
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


def shown_job(view: ImageResults, studio: Studio, job: Job) -> Updates:
    """Show a job that has a result. Touches the disk."""
    result = job.result or {}
    paths = served_images(studio, job)
    captions = [f"Seed {image['seed']}" for image in result["images"]]
    many = len(paths) > 1
    return {
        view.status: note_html(job, done_words(job), "done"),
        view.gallery: gr.Gallery(
            value=list(zip(paths, captions, strict=True)), columns=2 if many else 1, selected_index=None
        ),
        view.actions: gr.Row(visible=True),
        view.download_all: gr.DownloadButton(value=zipped(studio, job) if many else None, visible=many),
        view.recipe_box: gr.Accordion(visible=True),
        view.shown: job.id,
        **picked_image(view, job, 0, paths[0]),
    }


def picked_image(view: ImageResults, job: Job, number: int, path: str) -> Updates:
    """Point downloads and recipe at one picture of the job."""
    image = (job.result or {})["images"][number]
    many = len((job.result or {})["images"]) > 1
    title = f"Recipe of picture {number + 1}" if many else "Recipe"
    return {
        view.download: gr.DownloadButton(f"Download PNG {number + 1}" if many else "Download PNG", value=path),
        view.recipe_box: gr.Accordion(label=title, visible=True),
        view.recipe: image["recipe"],
        view.picked: number,
    }


def done_words(job: Job) -> str:
    result = job.result or {}
    count = len(result["images"])
    size = f"{result['images'][0]['width']} × {result['images'][0]['height']}"
    words = f"{count} picture{'s' if count > 1 else ''}, {size}, in {result['seconds']:.1f} s"
    return f"{words} · {result['model_label']}" if result["demo"] else words


def recent_jobs(view: ImageResults, studio: Studio, owner: str, kind: Kind) -> Updates:
    """The owner's newest jobs of this tab. Touches the disk."""
    # Both tabs share one kind of job, so look at twice as many as are shown.
    jobs = [job for job in studio.jobs.recent(owner, "image", 2 * RECENT) if belongs(job, studio.presets, kind)]
    tiles = [(thumbnail(studio, job), _tile_caption(job)) for job in jobs[:RECENT]]
    return {
        view.recent_box: gr.Column(visible=bool(tiles)),
        view.recent: gr.Gallery(value=tiles, selected_index=None),
        view.recent_ids: [job.id for job in jobs[:RECENT]],
    }


def _tile_caption(job: Job) -> str | None:
    count = len(job.files)
    return f"{count} pictures" if count > 1 else None
