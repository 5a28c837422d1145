"""OpenAI's image generation, so that any OpenAI client works with another base URL."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, Field

from app.concurrency import run_blocking
from app.http.deps import AskedDep, StudioDep, accepted, finish, submit
from app.http.errors import ERRORS
from app.http.links import FileLinks
from app.http.routes.files import convert
from app.jobs.model import Job
from app.jobs.queue import Submission
from app.work.image import Choices, PicturesResult, PlainRequest
from app.work.request import unknown_fields
from engines.requests import Count, Prompt, parse
from engines.results import Unused

router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=ERRORS)

AUTO_SIZE = "1024x1024"


def _size(size: str) -> str:
    if size != "auto" and not re.fullmatch(r"\d{1,5}x\d{1,5}", size):
        raise ValueError(f"is {size[:40]!r}: send WIDTHxHEIGHT in pixels, e.g. 1024x1024, or auto")
    return size


class ImageGeneration(Choices):
    """OpenAI's fields, then ours. OpenAI's other fields (model, quality, ...) are accepted and not used."""

    prompt: Prompt
    n: Count = 1
    size: Annotated[str, AfterValidator(_size), Field(description="WIDTHxHEIGHT in pixels, or auto")] = AUTO_SIZE
    response_format: Literal["b64_json", "url"] = "b64_json"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    user: Annotated[str, Field(max_length=200, description="Your end user, opaque. Users take turns")] = ""

    def plain(self) -> PlainRequest:
        width, height = (AUTO_SIZE if self.size == "auto" else self.size).split("x")
        values = {name: getattr(self, name) for name in ("prompt", *Choices.model_fields)}
        return parse(PlainRequest, {**values, "count": self.n, "width": int(width), "height": int(height)})


class ImageData(BaseModel):
    """One picture, as bytes in base64 or by its address."""

    seed: int
    b64_json: str | None = None
    url: str | None = None


class ImagesAnswer(BaseModel):
    """OpenAI's answer, then ours."""

    created: int
    data: tuple[ImageData, ...]
    size: str
    output_format: str
    model: str
    demo: bool
    job_id: str
    warnings: tuple[Unused, ...]


@router.post("/images/generations", response_model=ImagesAnswer)
async def generate_images(body: ImageGeneration, studio: StudioDep, asked: AskedDep) -> Any:
    """OpenAI's image generation. `response_format` url gives links that anybody may open, for an hour."""
    submission = Submission(
        kind="image",
        request=body.plain(),
        account=asked.account,
        user=body.user,
        idempotency_key=asked.idempotency_key,
        warnings=unknown_fields(asked.sent, set(ImageGeneration.model_fields)),
    )
    job = await submit(studio, submission)
    if asked.respond_async:
        return accepted(asked, job)
    job = await finish(asked, studio, job, keep=body.response_format == "url")
    as_bytes = body.response_format == "b64_json"
    pngs = [await studio.queue.content(file) if as_bytes else b"" for file in job.files]
    # Not on the event loop, and not through FastAPI's own encoder, which would go through the base64 twice more.
    return await run_blocking(_answer, job, body, asked.base_url, FileLinks(studio.signer), pngs)


def _answer(job: Job, body: ImageGeneration, base_url: str, links: FileLinks, pngs: list[bytes]) -> Response:
    result = job.result
    assert isinstance(result, PicturesResult)
    data = []
    for picture, png in zip(result.images, pngs, strict=True):
        if body.response_format == "url":
            url = links.link(base_url, picture.file_id, body.output_format)
            data.append(ImageData(seed=picture.seed, url=url))
        else:
            content = png if body.output_format == "png" else convert(png, body.output_format)
            data.append(ImageData(seed=picture.seed, b64_json=base64.b64encode(content).decode()))
    first = result.images[0]
    answer = ImagesAnswer(
        created=int(job.created_at),
        data=tuple(data),
        size=f"{first.width}x{first.height}",
        output_format=body.output_format,
        model=result.model,
        demo=result.demo,
        job_id=job.id,
        warnings=job.warnings,
    )
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")
