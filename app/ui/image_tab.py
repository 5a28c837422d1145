"""What happens on an image tab: make pictures, pick one, open a recent one, use settings again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.jobs.queue import Submission
from app.studio import Studio
from app.ui.account import account_of
from app.ui.image_form import ImageForm, seed_to_use
from app.ui.image_results import ImageResults, picked_image, recent_jobs, shown_job
from app.ui.work import QUIET, Controls, Started, Updates, Values, Work, wire_work
from app.work.image import PicturesResult
from app.work.presets import PresetRequest


@dataclass(frozen=True, slots=True)
class ImageTab:
    """One image tab's parts and the things in which tabs differ."""

    form: ImageForm
    own_fields: set[gr.components.Component]
    """Form components that are no field of the request."""
    submit_by: tuple[gr.Textbox, ...]
    """Boxes in which the Enter key generates."""
    controls: Controls
    results: ImageResults
    read: Callable[[Values, int], PresetRequest]
    """The request, from the form's values and the seed. Raises InvalidRequest."""
    files: Callable[[Values], dict[str, Path]]
    """The request's files by name."""
    refill: Callable[[PresetRequest], Updates]
    """New values for the own fields."""


def wire(tab: ImageTab, studio: Studio) -> None:
    """Connect the tab's components."""
    form, view = tab.form, tab.results

    def submit(values: Values, account: str) -> Started:
        seed = seed_to_use(values[form.fields["seed"]], values[form.seed_mode], values[form.drawn])
        request = tab.read(values, seed)
        inputs = {name: studio.files.take(path, path.name) for name, path in tab.files(values).items()}
        job = studio.queue.submit(Submission(form.kind, request, account, inputs))
        return Started((job,), {form.fields["seed"]: str(seed), form.drawn: str(seed)})

    work = Work(
        form.kind,
        tab.controls,
        view.status,
        submit,
        show=lambda job: shown_job(view, studio, job),
        recent=lambda account: recent_jobs(view, studio, account, form.kind),
    )
    triggers = [tab.controls.go.click, *(box.submit for box in tab.submit_by)]
    outputs = [*view.components, form.fields["seed"], form.drawn]
    wire_work(work, studio.queue, triggers, form.components | tab.own_fields, outputs)
    _wire_results(tab, studio)


def _wire_results(tab: ImageTab, studio: Studio) -> None:
    view, form = tab.results, tab.form

    async def pick(values: Values, event: gr.SelectData, request: gr.Request) -> Updates:
        job = await studio.queue.get(values[view.shown], account_of(request))
        return await picked_image(view, studio, job, int(event.index))

    async def open_recent(values: Values, event: gr.SelectData, request: gr.Request) -> Updates:
        job = await studio.queue.get(values[view.recent_ids][int(event.index)], account_of(request))
        return await shown_job(view, studio, job)

    async def use_again(values: Values, request: gr.Request) -> Updates:
        job = await studio.queue.get(values[view.shown], account_of(request))
        assert isinstance(job.result, PicturesResult)
        assert isinstance(job.request, PresetRequest)
        seed = job.result.images[values[view.picked]].seed
        first = studio.presets.of(form.kind)[0].id
        return {**form.filled(job.request, seed, first), **tab.refill(job.request)}

    view.gallery.select(pick, {view.shown}, view.components, **QUIET)
    view.recent.select(open_recent, {view.recent_ids}, view.components, **QUIET)
    fields = [*form.components, *tab.own_fields]
    view.again.click(use_again, {view.shown, view.picked}, fields, **QUIET)
