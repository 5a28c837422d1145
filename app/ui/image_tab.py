"""What happens on an image tab: make pictures, pick one, open a recent one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.jobs.model import Job
from app.jobs.queue import Submission
from app.studio import Studio
from app.ui.account import account_of
from app.ui.batch import Batch, batch_html
from app.ui.image_form import ImageForm, seed_to_use
from app.ui.image_results import ImageResults, picked_image, recent_jobs, shown_job
from app.ui.work import QUIET, Controls, Started, Updates, Values, Work, wire_work
from app.work.presets import PresetRequest
from engines.errors import InvalidMedia, StudioError


@dataclass(frozen=True, slots=True)
class ImageTab:
    """One image tab's parts and the things in which tabs differ."""

    form: ImageForm
    own_fields: set[gr.components.Component]
    """Form components that are no field of the request."""
    controls: Controls
    batch: Batch
    results: ImageResults
    read: Callable[[Values, int], list[PresetRequest]]
    """The requests, from the form's values and the seed. Raises InvalidRequest."""
    files: Callable[[Values], dict[str, Path]]
    """The request's files by name."""
    refill: Callable[[PresetRequest], Updates]
    """New values for the own fields, and for the status where something is missing."""

    @property
    def fields(self) -> list[gr.components.Component]:
        """Everything that `filled_in` gives new values for."""
        return [*self.form.components, *self.own_fields, self.results.status]


def wire(tab: ImageTab, studio: Studio) -> ImageTab:
    """Connect the tab's components, and give it back."""
    form, view, batch = tab.form, tab.results, tab.batch

    def submit(values: Values, account: str) -> Started:
        seed = seed_to_use(values[form.fields["seed"]], values[form.seed_mode])
        requests = tab.read(values, seed)
        jobs: list[Job] = []
        refused: list[tuple[str, str]] = []
        for request in requests:
            try:
                jobs.append(_send(tab, studio, request, values, account))
            except StudioError as error:
                if not jobs:
                    raise
                refused.append((getattr(request, "prompt", ""), str(error)))
        return Started(tuple(jobs), {form.fields["seed"]: str(seed), batch.sent: ""}, tuple(refused))

    def again(failed: Sequence[Job], values: Values, account: str) -> Started:
        return Started(tuple(_send(tab, studio, _asked(job), values, account) for job in failed), {batch.sent: ""})

    work = Work(
        form.kind,
        tab.controls,
        view.status,
        submit,
        again,
        show=lambda job: shown_job(view, studio, job),
        recent=lambda account: recent_jobs(view, studio, account, form.kind),
        together=lambda jobs, refused: {batch.sent: batch_html(form.kind, jobs, refused)},
    )
    outputs = [*view.components, form.fields["seed"], batch.sent]
    wire_work(work, studio.queue, [tab.controls.go.click], form.components | tab.own_fields, outputs)
    _wire_results(view, studio)

    async def open_sent(values: Values, request: gr.Request) -> Updates:
        return await shown_job(view, studio, await studio.queue.get(values[batch.opened], account_of(request)))

    batch.open.click(open_sent, {batch.opened}, view.components, js="() => window.studio.pressed", **QUIET)
    return tab


def _asked(job: Job) -> PresetRequest:
    assert isinstance(job.request, PresetRequest)
    return job.request


def _send(tab: ImageTab, studio: Studio, request: PresetRequest, values: Values, account: str) -> Job:
    """Queue one request with the form's files. Raises what Queue.submit raises."""
    files = tab.files(values)
    inputs = {name: studio.files.take(path, path.name) for name, path in files.items()}
    try:
        return studio.queue.submit(Submission(tab.form.kind, request, account, inputs))
    except InvalidMedia as error:
        raise named(error, *files.values()) from error


def named(error: InvalidMedia, *files: Path) -> InvalidMedia:
    """The error with the name of the file that somebody chose."""
    return InvalidMedia(error.field, f"{', '.join(file.name for file in files)} cannot be used: {error}")


def _wire_results(view: ImageResults, studio: Studio) -> None:
    async def pick(job_id: str, number: str, request: gr.Request) -> Updates:
        job = await studio.queue.get(job_id, account_of(request))
        return await picked_image(view, studio, job, int(number))

    async def open_recent(ids: list[str], number: str, request: gr.Request) -> Updates:
        job = await studio.queue.get(ids[int(number)], account_of(request))
        return await shown_job(view, studio, job)

    for gallery, chosen, known in ((view.gallery, pick, view.shown), (view.recent, open_recent, view.recent_ids)):
        # The number of the picture that was pressed last: static/pictures.js.
        last = f"known => [known, document.getElementById('{gallery.elem_id}').dataset.pressed]"
        gallery.select(chosen, [known, view.pressed], view.components, js=last, **QUIET)


def filled_in(tab: ImageTab, studio: Studio, request: PresetRequest, seed: int) -> Updates:
    """The tab's form as it was for a request, for one picture with this seed."""
    first = studio.presets.of(tab.form.kind)[0].id
    return {**tab.form.filled(request, seed, first), **tab.refill(request)}
