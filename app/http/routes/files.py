"""The files of results: a picture in the format and size that a page wants, captions, transcripts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse

from app.concurrency import run_blocking
from app.http.deps import StudioDep
from app.http.disposition import disposition as named_disposition
from app.http.errors import ERRORS
from app.jobs.model import JobFile
from app.work.background import KEEP, read_background
from app.work.image import PictureFormat
from app.work.picture_file import Wish, made
from engines.errors import InvalidRequest

router = APIRouter(tags=["jobs"], responses=ERRORS)

KEEP_A_YEAR = "private, max-age=31536000, immutable"

Format = Annotated[PictureFormat | None, Query(alias="format")]
Width = Annotated[int | None, Query(alias="w", ge=16, le=4096, description="Pixels; never enlarged")]
Disposition = Annotated[Literal["inline", "attachment"], Query()]
KnownEtag = Annotated[str | None, Header()]


def _wish(
    picture_format: Format = None,
    width: Width = None,
    square: Annotated[
        int | None, Query(ge=16, le=1024, description="The square in its middle, at this side in pixels")
    ] = None,
    enlarge: Annotated[int, Query(ge=1, le=2, description="2: twice as wide and high, by Lanczos' filter")] = 1,
    recipe: Annotated[bool, Query(description="false: without how it was made in the file")] = True,
    background: Annotated[
        str, Query(description="What stands behind the people in it: keep, transparent, or a colour as %23rrggbb")
    ] = KEEP,
) -> Wish:
    if square is not None and width is not None:
        raise InvalidRequest("square", "Give either square or w, not both.")
    return Wish(picture_format, width, square, enlarge, recipe, background=read_background(background))


@router.get("/files/{file_id}", response_class=Response)
async def read_file(
    file_id: str,
    service: StudioDep,
    request: Request,
    wish: Annotated[Wish, Depends(_wish)],
    if_none_match: KnownEtag = None,
    disposition: Disposition = "inline",
) -> Response:
    """A result's bytes; pictures also in another `format`, scaled down to width `w`, as a `square`, enlarged, or with
    another `background`.

    People are parted from what is behind them by a model that was made for photographs: `launch.py models pull
    portrait`. 422 where it is not here (`model_missing`), finds nobody, or the format (JPEG) has no transparency.

    A picture tells how it was made, in each format (a PNG in its text `recipe`, the others in Exif's UserComment),
    unless it is scaled down or `recipe` is false. Needs a token of the account that has the file, or a link as
    `response_format` url gives it."""
    file, path = await service.queue.library.file(file_id, request.state.account)
    if wish == Wish() or (wish.as_stored and file.media_type == "image/png"):
        headers = _headers(file, "", file.name, disposition)
        if if_none_match == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if file.media_type.startswith("image/"):
            # Whole, since what is deleted while a page loads its pictures is missed before the answer has begun.
            return Response(await service.queue.library.content(file), media_type=file.media_type, headers=headers)
        return FileResponse(path, media_type=file.media_type, headers=headers)
    if request.state.account is None:
        # Whoever has a link is shown a picture, and need not know how it was made.
        wish = replace(wish, recipe=False)
    return await _made(service, file, wish, wish.key, if_none_match, disposition)


@router.get("/files/{file_id}/headline", response_class=Response)
async def read_headline(
    file_id: str,
    service: StudioDep,
    request: Request,
    text: Annotated[str, Query(description="The headline, e.g. a post's title")],
    picture_format: Format = None,
    width: Width = None,
    if_none_match: KnownEtag = None,
    disposition: Disposition = "inline",
) -> Response:
    """A picture with a headline laid over its foot, in Inter: wrapped, as large as fits, and with at least the contrast
    that WCAG's AA wants, by as much of a scrim as the picture needs.

    422 for a text that does not fit, or has letters other than Latin, Greek and Cyrillic."""
    file, _ = await service.queue.library.file(file_id, request.state.account)
    wish = Wish(picture_format, width, headline=text)
    if not text.strip():
        raise InvalidRequest("text", "text is empty: write what the picture should say.")
    written = hashlib.sha256(text.encode()).hexdigest()[:16]
    return await _made(service, file, wish, f"{wish.key}-{written}", if_none_match, disposition)


async def _made(
    service: StudioDep, file: JobFile, wish: Wish, key: str, known: str | None, disposition: Disposition
) -> Response:
    if not file.media_type.startswith("image/"):
        raise InvalidRequest("format", f"{file.name} is no picture: ask for it without format and w.")
    headers = _headers(file, key, wish.name(file.name), disposition)
    if known == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    data = await service.queue.library.content(file)
    target = wish.format or "png"
    cut_out = partial(service.cut_outs.of, file.sha256)
    return Response(await run_blocking(made, data, wish, cut_out), media_type=f"image/{target}", headers=headers)


def _headers(file: JobFile, key: str, name: str, disposition: Disposition) -> dict[str, str]:
    return {
        "ETag": f'"{file.sha256[:32]}-{key}"',
        "Cache-Control": KEEP_A_YEAR,
        "Content-Disposition": named_disposition(disposition, name),
    }
