"""What can be done with a picture, as one row of icons and a menu; and how it looks as an avatar, or with a headline.

Links need nothing but the studio's own routes. Buttons press Gradio's (`data-press`), which the page hides; what opens
and closes is static/pictures.js.
"""

from __future__ import annotations

import html
from urllib.parse import urlencode

from app.http.snippets import Snippet, snippets
from app.i18n.texts import mark, say
from app.jobs.model import Job
from app.presets import Kind
from app.ui.background_choice import NO_JPEG, background_choice
from app.work.headline import MAX_HEADLINE
from app.work.image import PicturesResult
from app.work.presets import HeroRequest

ORIGIN = "http://studio.invalid"
"""Stands in the code for the page's own address, which the browser knows."""

NO_CLIPBOARD = mark("The browser does not let this page copy: select the text.")

BACKGROUND = "BACKGROUND"
"""Stands in the code for an avatar's background, which is chosen in the browser."""

CROPS = (128, 64, 32)
"""Sides, pixels, at which apps show avatars: a profile, a post, a comment."""

ICONS = {
    "download": '<path d="M12 4v11m0 0 4.500-4.500M12 15l-4.500-4.500M5 19.500h14"/>',
    "more": '<path d="M4 4h6v6H4zm10 0h6v6h-6zM4 14h6v6H4zm13 0v6m-3-3h6"/>',
    "photo": '<circle cx="12" cy="9" r="3.500"/><path d="M5 20c.7-3.800 3.400-5.500 7-5.500s6.300 1.700 7 5.500"/>',
    "again": '<path d="M19.500 12a7.500 7.500 0 1 1-2.300-5.400M19.500 4v4h-4"/>',
    "headline": '<path d="M5 7V5h14v2M12 5v14m-3 0h6"/>',
    "code": '<path d="m8.500 8-4.500 4 4.500 4m7-8 4.500 4-4.500 4"/>',
    "star": '<path d="m12 4 2.500 5 5.500.800-4 4 1 5.500-5-2.600-5 2.600 1-5.500-4-4L9.500 9z"/>',
    "menu": '<circle cx="5.500" cy="12" r="1.200"/><circle cx="12" cy="12" r="1.200"/>'
    '<circle cx="18.500" cy="12" r="1.200"/>',
    "close": '<path d="m6 6 12 12M18 6 6 18"/>',
    "previous": '<path d="m14.500 5-7 7 7 7"/>',
    "next": '<path d="m9.500 5 7 7-7 7"/>',
}

LIGHTBOX = "lightbox"

DELETE, DELETE_ALL = mark("Delete"), mark("Delete all {n}")
DELETE_ONE = mark("Delete this picture for good?")
DELETE_THEM = mark("Delete these {n} pictures for good?")


def icon(name: str) -> str:
    return f'<svg viewBox="0 0 24 24" aria-hidden="true">{ICONS[name]}</svg>'


def picture_bar(
    kind: Kind, job: Job, number: int, zip_path: str | None, *, favourite: bool, no_background: str = ""
) -> str:
    """The row for picture `number` of a job that has a result, and what it opens. `zip_path`: of all its pictures.

    `favourite`: whether the job is one. `no_background`: why an avatar's cannot be taken away; empty where it can.
    """
    result = job.result
    assert isinstance(result, PicturesResult)
    picture, count = result.images[number], len(result.images)
    download = say("Download PNG {n}", n=number + 1) if count > 1 else say("Download PNG")
    tools = [
        _link(f"{kind}-download", "download", download, _file(picture.file_id)),
        _press(f"{kind}-more", "more", say("Four more with the next seeds")),
        _press(f"{kind}-as-photo", "photo", say("Use as photo of an avatar")),
        _press(f"{kind}-again", "again", say("Use these settings again")),
        _press(f"{kind}-favourite", "star", say("Favourite"), pressed=favourite),
    ]
    if kind == "hero":
        tools.append(_opens(f"{kind}-headline-open", "headline", say("Lay a headline over it"), f"{kind}-headline"))
    tools += [
        _opens(f"{kind}-code-open", "code", say("Copy as code"), f"{kind}-code"),
        _menu(kind, picture.file_id, zip_path, count),
    ]
    of_many = say("Picture {n} of {total}", n=number + 1, total=count)
    note = of_many if count > 1 else say("Seed {seed}", seed=picture.seed)
    if kind == "avatar":
        below = _as_avatar(picture.file_id) + background_choice(picture.file_id, number, no_background)
        code = _code(kind, snippets(job.kind, job.request, picture, ORIGIN, BACKGROUND))
    else:
        below = _headline(kind, job, picture.file_id)
        code = _code(kind, snippets(job.kind, job.request, picture, ORIGIN))
    return (
        f'<div class="picture-bar" role="toolbar" aria-label="{say("This picture")}" data-number="{number}">'
        f'{"".join(tools)}<span class="picture-note">{note}</span></div>{below}{code}'
    )


def lightbox() -> str:
    """The window in which pictures are seen large; one for the page."""
    return (
        f'<dialog id="{LIGHTBOX}" class="lightbox" aria-label="{say("Picture")}"><img alt="">'
        f'<p class="lightbox-note" aria-live="polite"></p>'
        f'<button type="button" class="lightbox-previous" {_named(say("Previous picture"))}>{icon("previous")}</button>'
        f'<button type="button" class="lightbox-next" {_named(say("Next picture"))}>{icon("next")}</button>'
        f'<button type="button" class="lightbox-close" data-close {_named(say("Close"))}>{icon("close")}</button>'
        "</dialog>"
    )


def _file(file_id: str, **query: object) -> str:
    return html.escape(f"/files/{file_id}?{urlencode({**query, 'disposition': 'attachment'})}")


def _named(name: str) -> str:
    """For an element that shows an icon alone."""
    return f'title="{html.escape(name)}" aria-label="{html.escape(name)}"'


def _link(elem_id: str, shown: str, name: str, href: str) -> str:
    return f'<a id="{elem_id}" class="tool" {_named(name)} href="{href}" download>{icon(shown)}</a>'


def _press(elem_id: str, shown: str, name: str, *, pressed: bool | None = None) -> str:
    """`pressed`: of a switch, whether it is on."""
    switch = "" if pressed is None else f' aria-pressed="{str(pressed).lower()}"'
    return (
        f'<button id="{elem_id}" type="button" class="tool" {_named(name)}{switch} data-press="{elem_id}-event">'
        f"{icon(shown)}</button>"
    )


def _opens(elem_id: str, shown: str, name: str, what: str) -> str:
    return (
        f'<button id="{elem_id}" type="button" class="tool" {_named(name)} data-opens="{what}" '
        f'aria-controls="{what}">{icon(shown)}</button>'
    )


def _menu(kind: Kind, file_id: str, zip_path: str | None, count: int) -> str:
    links = {
        say("Download WebP"): _file(file_id, format="webp"),
        say("Download JPEG"): _file(file_id, format="jpeg"),
        say("Enlarged twice (Lanczos), PNG"): _file(file_id, enlarge=2),
    }
    items = [f'<a href="{href}" download>{name}</a>' for name, href in links.items()]
    if kind == "avatar":
        items.insert(2, f'<span class="no-jpeg" hidden>{say(NO_JPEG)}</span>')
    if zip_path is not None:
        href = html.escape(f"/gradio_api/file={zip_path}")
        items.append(f'<a id="{kind}-zip" href="{href}" download>{say("Download all (zip)")}</a>')
    name, question = (DELETE, DELETE_ONE) if count == 1 else (DELETE_ALL, DELETE_THEM)
    items.append(
        f'<button id="{kind}-delete" type="button" class="delete" data-press="{kind}-delete-event" '
        f'data-confirm="{say(question, n=count)}">{say(name, n=count)}</button>'
    )
    return (
        f'<details class="picture-menu"><summary id="{kind}-menu" class="tool" {_named(say("More"))}>'
        f"{icon('menu')}</summary><div>{''.join(items)}</div></details>"
    )


def _as_avatar(file_id: str) -> str:
    # Twice the side, for screens that have two pixels for each of a page's.
    crops = "".join(
        f'<img src="/files/{file_id}?square={2 * side}&amp;format=webp" width="{side}" height="{side}" '
        f'alt="{say("As an avatar of {n} pixels", n=side)}" loading="lazy">'
        for side in CROPS
    )
    return f'<div class="as-avatar">{crops}<span>{say("As an avatar")}</span></div>'


def _headline(kind: Kind, job: Job, file_id: str) -> str:
    title = job.request.title if isinstance(job.request, HeroRequest) else ""
    path = html.escape(f"/files/{file_id}/headline")
    downloads = "".join(
        f'<a class="wide" data-format="{kind_of}" href="{path}" download>{say(name)}</a>'
        for kind_of, name in (("png", mark("Download PNG")), ("jpeg", mark("Download JPEG")))
    )
    return (
        f'<section id="{kind}-headline" class="headline" data-path="{path}" hidden>'
        f'<label for="{kind}-headline-text">{say("Headline")}</label>'
        f'<input id="{kind}-headline-text" type="text" maxlength="{MAX_HEADLINE}" autocomplete="off" '
        f'value="{html.escape(" ".join(title.split())[:MAX_HEADLINE])}" placeholder="{say("The title of your post")}">'
        f'<p class="headline-problem" role="alert"></p><img alt="{say("The picture with the headline")}" hidden>'
        f'<div class="headline-downloads" hidden>{downloads}</div></section>'
    )


def _code(kind: Kind, found: tuple[Snippet, ...]) -> str:
    tabs = "".join(
        f'<button type="button" role="tab" id="{kind}-code-tab-{number}" aria-controls="{kind}-code-{number}" '
        f'aria-selected="{str(number == 0).lower()}" tabindex="{0 if number == 0 else -1}">{snippet.language}</button>'
        for number, snippet in enumerate(found)
    )
    panels = "".join(
        f'<pre role="tabpanel" id="{kind}-code-{number}" aria-labelledby="{kind}-code-tab-{number}" tabindex="0"'
        f"{'' if number == 0 else ' hidden'}><code{_added(snippet)}>{html.escape(snippet.code)}</code></pre>"
        for number, snippet in enumerate(found)
    )
    about = say("This picture as code")
    return (
        f'<dialog id="{kind}-code" class="code-dialog" aria-label="{about}" data-origin="{ORIGIN}" '
        f'data-background="{BACKGROUND}">'
        f'<header><div role="tablist" aria-label="{say("Language")}">{tabs}</div>'
        f'<button type="button" class="tool" data-close {_named(say("Close"))}>{icon("close")}</button></header>'
        f"{panels}"
        f'<div class="code-end"><p role="status" data-copied="{say("Copied.")}" data-refused="{say(NO_CLIPBOARD)}"></p>'
        f'<button type="button" class="wide primary" data-copy>{say("Copy")}</button></div></dialog>'
    )


def _added(snippet: Snippet) -> str:
    return f' data-added="{html.escape(snippet.added)}"' if snippet.added else ""
