"""The files of results: a picture in the format and size that a page wants, captions, transcripts."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse
from PIL import Image

from app.concurrency import run_blocking
from app.http.deps import ServiceDep
from app.http.disposition import disposition as named_disposition
from app.http.errors import ERRORS
from engines.errors import InvalidRequest

router = APIRouter(tags=["jobs"], responses=ERRORS)

KEEP_A_YEAR = "private, max-age=31536000, immutable"

PictureFormat = Literal["png", "jpeg", "webp", "avif"]

# Quality 90 to 95 keeps skin free of visible blocks; WebP method 0 encodes 1024x1024 in about 30 ms.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 95},
    "webp": {"quality": 90, "method": 0},
    "avif": {"quality": 80, "speed": 8},
}


@router.get("/files/{file_id}", response_class=Response)
async def read_file(
    file_id: str,
    service: ServiceDep,
    request: Request,
    picture_format: Annotated[PictureFormat | None, Query(alias="format")] = None,
    width: Annotated[int | None, Query(alias="w", ge=16, le=4096)] = None,
    if_none_match: Annotated[str | None, Header()] = None,
    disposition: Annotated[Literal["inline", "attachment"], Query()] = "inline",
) -> Response:
    """A result's bytes; pictures also in another `format` and scaled down to width `w` in pixels.

    Needs a token of the account that has the file, or a link as `response_format` url gives it."""
    file, path = await service.queue.file(file_id, request.state.account)
    etag = f'"{file.sha256[:32]}-{picture_format or ""}-{width or ""}"'
    headers = {
        "ETag": etag,
        "Cache-Control": KEEP_A_YEAR,
        "Content-Disposition": named_disposition(disposition, file.name),
    }
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    if not (picture_format or width):
        return FileResponse(path, media_type=file.media_type, headers=headers)
    if not file.media_type.startswith("image/"):
        raise InvalidRequest("format", f"{file.name} is no picture: ask for it without format and w.")
    target = picture_format or "png"
    data = await service.queue.content(file)
    return Response(await run_blocking(convert, data, target, width), media_type=f"image/{target}", headers=headers)


def convert(data: bytes, target: PictureFormat, width: int | None = None) -> bytes:
    """A picture in another format, `width` pixels wide at most: never enlarged."""
    image: Image.Image = Image.open(BytesIO(data))
    if width is not None and width < image.width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, target.upper(), **SAVE_OPTIONS[target])
    return out.getvalue()
