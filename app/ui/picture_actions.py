"""What happens when somebody does something with a picture: show it, use it, use its settings, or those of a file."""

from __future__ import annotations

import html
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from app.concurrency import run_blocking
from app.i18n.texts import built, finished, mark, say
from app.jobs.model import Job
from app.presets import NO_PRESET, Kind
from app.studio import Studio
from app.ui.account import account_for, account_of
from app.ui.files import served
from app.ui.image_form import RANDOM
from app.ui.image_results import ImageResults, nothing_shown, picked_image, recent_jobs
from app.ui.image_tab import ImageTab, filled_in
from app.ui.picture_bar import lightbox
from app.ui.progress import problem_html, told
from app.ui.work import ONCE, QUIET, Updates, Values
from app.work.found import Found, settings_in
from app.work.image import PicturesResult
from app.work.presets import PresetRequest
from engines.errors import InvalidMedia, InvalidRequest
from engines.picture_parts import read_texts
from engines.requests import MAX_SEED, parse

FOUR = 4
"""Pictures of "four more"."""

NO_PHOTO = mark("This picture started from a photo, which is not kept. Add the photo again, then press Generate.")

DROP_PICTURE, DROP_RECORDING = mark("Drop it to use its settings"), mark("Drop it to transcribe it")
"""Over the page, while a file hangs over it."""

NO_SETTINGS = mark(
    "{file} holds no settings. Pictures of this studio and of A1111's program do, as PNG, JPEG or WebP; many apps and "
    "social networks take them out."
)


def wire_across(studio: Studio, tabs: gr.Tabs, avatar: ImageTab, hero: ImageTab) -> None:
    """Connect what is done with the tabs' pictures, and with files of some. Call it below the tabs, inside the page."""
    gr.HTML(built(lightbox), elem_id="lightbox-box", apply_default_css=False)
    photo = next(field for field in avatar.own_fields if isinstance(field, gr.Image))
    drawer = _drawer_of(photo)
    for tab in (avatar, hero):
        _wire_again(tab, studio)
        _wire_as_photo(tab.results, studio, tabs, photo, drawer)
        _wire_keeping(tab, studio)
    with gr.Row(elem_classes="from-picture"):
        gr.HTML(
            built(_drop_note),
        )
        chosen = gr.UploadButton(
            say("Choose one"), file_types=["image"], size="sm", elem_id="settings-from", min_width=110, scale=0
        )
    _wire_dropped(chosen, studio, tabs, {"avatar": avatar, "hero": hero})


def _drop_note() -> str:
    picture, recording = (html.escape(say(text), quote=True) for text in (DROP_PICTURE, DROP_RECORDING))
    note = say("Drop a picture anywhere on this page, and its settings are back in the form.")
    no_mouse = say("The settings of a picture that was made here can come back into the form.")
    return (
        f'<p id="drop-note" data-picture="{picture}" data-recording="{recording}">'
        f'<span class="with-mouse">{note}</span><span class="without-mouse">{no_mouse}</span></p>'
    )


def _wire_again(tab: ImageTab, studio: Studio) -> None:
    """Connect what fills the tab's own form from the picture that is shown."""
    view, form = tab.results, tab.form
    shown: set[gr.components.Component] = {view.shown, view.picked}

    async def use_again(values: Values, request: gr.Request) -> Updates:
        job, picture_seed = await _picked(view, studio, values, request)
        return filled_in(tab, studio, _request_of(job), picture_seed)

    async def four_more(values: Values, request: gr.Request) -> Updates:
        job, _ = await _picked(view, studio, values, request)
        asked = _request_of(job)
        if getattr(asked, "photo_sha256", None) is not None:
            raise InvalidRequest("photo", say(NO_PHOTO))
        # Behind the last one, so that none is drawn again.
        seed = (_result_of(job).images[-1].seed + 1) % (MAX_SEED + 1)
        return {**filled_in(tab, studio, asked, seed), form.fields["count"]: FOUR, view.status: ""}

    view.again.click(use_again, shown, tab.fields, **QUIET)
    press = _unless_told(f"document.getElementById('{form.kind}-go').click()")
    view.more.click(four_more, shown, tab.fields, **ONCE).success(None, view.status, None, js=press, **QUIET)


def _wire_keeping(tab: ImageTab, studio: Studio) -> None:
    """Connect what marks a job as a favourite, and what deletes it."""
    view = tab.results

    async def mark(values: Values, request: gr.Request) -> Updates:
        job, _ = await _picked(view, studio, values, request)
        marked = await studio.queue.library.is_favourite(job)
        await run_blocking(partial(studio.queue.library.mark, job, favourite=not marked))
        return await picked_image(view, studio, job, values[view.picked])

    async def delete(values: Values, request: gr.Request) -> Updates:
        account = account_for(request, tab.form.kind)
        await run_blocking(studio.queue.library.delete, values[view.shown], account)
        return {**nothing_shown(view, say("Deleted.")), **await recent_jobs(view, studio, account, tab.form.kind)}

    view.favourite.click(mark, {view.shown, view.picked}, view.components, **QUIET)
    view.delete.click(delete, {view.shown}, view.components, **ONCE)


def _wire_as_photo(
    view: ImageResults, studio: Studio, tabs: gr.Tabs, photo: gr.Image, drawer: gr.Accordion | None
) -> None:
    async def use(values: Values, request: gr.Request) -> Updates:
        job = await studio.queue.get(values[view.shown], account_of(request))
        opened = {} if drawer is None else {drawer: gr.Accordion(open=True)}
        return {photo: served(studio, job, job.files[values[view.picked]]), tabs: gr.Tabs(selected="avatar"), **opened}

    outputs = [photo, tabs, view.status, *([] if drawer is None else [drawer])]
    show = _unless_told("window.pictures.show('avatar-photo')")
    view.as_photo.click(use, {view.shown, view.picked}, outputs, **QUIET).success(
        None, view.status, None, js=show, **QUIET
    )


def _unless_told(script: str) -> str:
    """The script, for an event that gets the line of status: a failure that was told there is a success for Gradio."""
    return f"""line => {{ if (!(line ?? "").includes('role="alert"')) {script}; }}"""


def _wire_dropped(chosen: gr.UploadButton, studio: Studio, tabs: gr.Tabs, by_kind: Mapping[Kind, ImageTab]) -> None:
    outputs: list[gr.components.Component] = []
    for tab in by_kind.values():
        outputs += tab.fields

    def use(values: Values) -> Updates:
        path = Path(values[chosen])
        try:
            found = read_settings(path, studio)
        except InvalidMedia as error:
            # Where it is seen: any tab may be open.
            return {
                by_kind["avatar"].results.status: problem_html(finished(str(error))),
                tabs: gr.Tabs(selected="avatar"),
            }
        tab = by_kind[found.kind]
        request = parse(tab.form.request, {"prompt": "", **found.values, "preset": found.preset or NO_PRESET})
        seed = found.values.get("seed", -1)
        filled = filled_in(tab, studio, request, seed)
        if seed == -1:
            filled |= {tab.form.fields["seed"]: "", tab.form.seed_mode: RANDOM}
        return {**filled, tab.results.status: found_html(path.name, found), tabs: gr.Tabs(selected=found.kind)}

    chosen.upload(use, {chosen}, [tabs, *outputs], **QUIET)


def read_settings(path: Path, studio: Studio) -> Found:
    """What the file tells of how it was made. Raises InvalidMedia for one that tells nothing."""
    try:
        with path.open("rb") as file:
            found = settings_in(read_texts(file), studio.presets, studio.image.info)
    except (OSError, ValueError):
        found = None
    if found is None:
        raise InvalidMedia("picture", say(NO_SETTINGS, file=path.name[:80]))
    return found


def found_html(name: str, found: Found) -> str:
    """The line that tells what was taken over, and below it what was not."""
    unused = "".join(told(sentence, look="warning") for sentence in found.not_used)
    line = html.escape(say("The settings of {file} are in the form.", file=name[:80]))
    return f'<div class="progress note" role="status"><span>{line}</span>{unused}</div>'


async def _picked(view: ImageResults, studio: Studio, values: Values, request: gr.Request) -> tuple[Job, int]:
    """The job that is shown, and the seed of the picture that is picked."""
    job = await studio.queue.get(values[view.shown], account_of(request))
    return job, _result_of(job).images[values[view.picked]].seed


def _result_of(job: Job) -> PicturesResult:
    assert isinstance(job.result, PicturesResult)
    return job.result


def _request_of(job: Job) -> PresetRequest:
    assert isinstance(job.request, PresetRequest)
    return job.request


def _drawer_of(component: Any) -> gr.Accordion | None:
    """The drawer that it lies in, which may be closed."""
    block = component.parent
    while block is not None and not isinstance(block, gr.Accordion):
        block = block.parent
    return block
