"""What happens on an image tab: make pictures, pick one, open a recent one, use settings again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from app.concurrency import run_blocking
from app.jobs.model import Job
from app.ui.again import FormValues, form_values
from app.ui.files import served
from app.ui.image_form import KEEP, NO_PRESET, ImageForm, seed_to_use
from app.ui.image_results import ImageResults, picked_image, recent_jobs, shown_job
from app.ui.owner import owner_of
from app.ui.work import QUIET, Controls, Updates, Values, Work, wire_work
from app.work.studio import Studio
from engines.types import ImageRequest


@dataclass(frozen=True, slots=True)
class ImageTab:
    """One image tab's parts and the two things in which tabs differ."""

    form: ImageForm
    own_fields: set[gr.components.Component]
    """Form components that only this tab has."""
    submit_by: tuple[gr.Textbox, ...]
    """Boxes in which the Enter key generates."""
    controls: Controls
    results: ImageResults
    to_request: Callable[[Values, int], tuple[ImageRequest, str | None]]
    """The request and the preset's id, from the form's values and the seed. May read files."""
    refill: Callable[[FormValues], Updates]
    """New values for the own fields and the size."""


def wire(tab: ImageTab, studio: Studio) -> None:
    """Connect the tab's components."""
    form, view = tab.form, tab.results

    def submit(values: Values, owner: str) -> tuple[Job, Updates]:
        seed = seed_to_use(values[form.seed], values[form.seed_mode], values[form.drawn])
        request, preset = tab.to_request(values, seed)
        job = studio.submit_image(request, owner=owner, preset=preset)
        return job, {form.seed: str(seed), form.drawn: str(seed)}

    work = Work(
        tab.controls,
        view.status,
        submit,
        show=lambda job: shown_job(view, studio, job),
        recent=lambda owner: recent_jobs(view, studio, owner, form.kind),
    )
    triggers = [tab.controls.go.click, *(box.submit for box in tab.submit_by)]
    wire_work(work, studio.jobs, triggers, form.components | tab.own_fields, [*view.components, form.seed, form.drawn])
    _wire_results(tab, studio)


def _wire_results(tab: ImageTab, studio: Studio) -> None:
    view = tab.results

    async def pick(values: Values, event: gr.SelectData, request: gr.Request) -> Updates:
        job = await run_blocking(studio.jobs.get, values[view.shown], owner_of(request))
        number = int(event.index)
        path = await run_blocking(served, studio, job, (job.result or {})["images"][number]["file_id"])
        return picked_image(view, job, number, path)

    async def open_recent(values: Values, event: gr.SelectData, request: gr.Request) -> Updates:
        job = await run_blocking(studio.jobs.get, values[view.recent_ids][int(event.index)], owner_of(request))
        return await run_blocking(shown_job, view, studio, job)

    async def use_again(values: Values, request: gr.Request) -> Updates:
        job = await run_blocking(studio.jobs.get, values[view.shown], owner_of(request))
        again = form_values(job, values[view.picked], studio.presets, tab.form.kind, studio.image.info)
        if again.had_photo:
            gr.Info("The photo itself is not kept: add it again for the same picture.", title="One thing is missing")
        return {**_refill_common(tab.form, again), **tab.refill(again)}

    view.gallery.select(pick, {view.shown}, view.components, **QUIET)
    view.recent.select(open_recent, {view.recent_ids}, view.components, **QUIET)
    fields = [*tab.form.components, *tab.own_fields]
    view.again.click(use_again, {view.shown, view.picked}, fields, **QUIET)


def typed(number: float | None) -> str:
    """A number as a person would type it; nothing for a default."""
    return "" if number is None else f"{number:g}"


def _refill_common(form: ImageForm, again: FormValues) -> Updates:
    return {
        form.preset: again.preset or NO_PRESET,
        form.negative_prompt: again.negative_prompt,
        form.seed: str(again.seed),
        form.seed_mode: KEEP,
        form.count: 1,
        form.width: typed(again.width),
        form.height: typed(again.height),
        form.steps: typed(again.steps),
        form.guidance: typed(again.guidance),
        form.sampler: again.sampler or "",
    }
