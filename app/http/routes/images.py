"""OpenAI's pictures, of words or of words and a photo, so that any OpenAI client works with another base URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.concurrency import run_blocking
from app.http.deps import Asked, AskedDep, StudioDep, accepted, finish, submit
from app.http.errors import ERRORS
from app.http.image_events import (
    Background,
    Delivered,
    EditCompleted,
    EditPartial,
    GenerationCompleted,
    GenerationPartial,
    ImageEvents,
    OutputFormat,
    delivered,
)
from app.http.links import FileLinks
from app.http.stream import EventStream, described
from app.http.uploads import receive_upload
from app.jobs.model import Job, JobFailed, Received
from app.jobs.queue import Submission
from app.studio import Studio
from app.work.background import NO_TRANSPARENCY, CutOuts
from app.work.image import Choices, PicturesResult, PlainRequest
from app.work.request import unknown_fields
from engines.errors import InvalidRequest
from engines.requests import WHOLE, Count, PhotoStrength, Prompt, parse
from engines.results import Unused

router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=ERRORS)

AUTO_SIZE = "1024x1024"

IMAGE_FIELDS = ("image", "image[]", "image[0]")
"""Without brackets where a client sends one picture; with empty ones of a list from OpenAI's, with a number from those
of PHP and the like."""

REFUSED_FILES = {
    "mask": "mask cannot be used: this model changes the whole picture and none of its parts. Leave mask out.",
    "markup": "markup cannot be used: this model reads no marks on a picture. Leave it out, and say it in the prompt.",
}

STRENGTH_OF_FIDELITY = {"low": 0.6, "high": 0.35}
"""How far to go from the photo: at 0.6 its shapes and colours are left, at 0.35 also faces and most of the details."""


def _size(size: str) -> str:
    if size != "auto" and not re.fullmatch(r"\d{1,5}x\d{1,5}", size):
        raise ValueError(f"is {size[:40]!r}: send WIDTHxHEIGHT in pixels, e.g. 1024x1024, or auto")
    return size


EndUser = Annotated[str, Field(max_length=200, description="Your end user, opaque. Users take turns")]


class ImageGeneration(Choices):
    """OpenAI's fields, then ours. OpenAI's other fields (model, quality, ...) are accepted and not used."""

    prompt: Prompt
    n: Count = 1
    size: Annotated[str, AfterValidator(_size), Field(description="WIDTHxHEIGHT in pixels, or auto")] = AUTO_SIZE
    response_format: Literal["b64_json", "url"] = "b64_json"
    output_format: OutputFormat = "png"
    background: Annotated[
        Literal["transparent", "opaque", "auto"],
        Field(description="transparent: people without what is behind them, as PNG or WebP; auto: opaque"),
    ] = "auto"
    stream: Annotated[bool, Field(description="Answer with server-sent events")] = False
    partial_images: Annotated[
        int, Field(ge=0, le=3, description="With stream: how many previews to send at most, 0 to 3"), WHOLE
    ] = 0
    user: EndUser = ""
    safety_identifier: Annotated[EndUser, Field(description="OpenAI's new name of user; comes first")] = ""

    def plain(self) -> PlainRequest:
        return parse(PlainRequest, self._values())

    def _values(self) -> dict[str, Any]:
        width, height = (AUTO_SIZE if self.size == "auto" else self.size).split("x")
        values = {name: getattr(self, name) for name in ("prompt", *Choices.model_fields)}
        return {**values, "count": self.n, "width": int(width), "height": int(height)}


class ImageEdit(ImageGeneration):
    """The same for a photo. A form has only text, so numbers are read from it."""

    model_config = ConfigDict(strict=False)

    input_fidelity: Annotated[
        Literal["low", "high"] | None,
        Field(description="low (as without): like photo_strength 0.6; high: like 0.35, closer to the photo"),
    ] = None
    photo_strength: PhotoStrength | None = None

    def _values(self) -> dict[str, Any]:
        if self.input_fidelity and self.photo_strength is not None:
            raise InvalidRequest("photo_strength", "Give either photo_strength or input_fidelity, not both.")
        strength = self.photo_strength or STRENGTH_OF_FIDELITY[self.input_fidelity or "low"]
        return {**super()._values(), "photo_strength": strength}


def _edit_form() -> dict[str, Any]:
    """For `openapi_extra`: the form is read by hand, so FastAPI cannot know its fields."""
    schema = ImageEdit.model_json_schema()
    image = {"type": "string", "format": "binary", "description": "A photo: PNG, JPEG or WebP. Cut to the size's shape"}
    schema["properties"] = {"image": image, **schema["properties"]}
    schema["required"] = ["image", *schema["required"]]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


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
    background: Background
    model: str
    demo: bool
    job_id: str
    warnings: tuple[Unused, ...]


@router.post(
    "/images/generations",
    response_model=ImagesAnswer,
    responses=described(GenerationPartial, GenerationCompleted),
)
async def generate_images(body: ImageGeneration, studio: StudioDep, asked: AskedDep) -> Any:
    """OpenAI's image generation. `response_format` url gives links that anybody may open, for an hour.

    `background` transparent leaves the people alone (`launch.py models pull portrait`); a picture without any keeps its
    background, which `warnings` say.

    With `stream` the answer is events: previews as far as `partial_images` asks for them, then each picture.
    """
    job = await _submitted(body, studio, asked, asked.sent, {})
    if body.stream and not asked.respond_async:
        return EventStream(asked, studio, job, _events(body, studio, GenerationPartial, GenerationCompleted))
    return await _answered(body, studio, asked, job)


@router.post(
    "/images/edits",
    response_model=ImagesAnswer,
    responses=described(EditPartial, EditCompleted),
    openapi_extra=_edit_form(),
)
async def edit_image(request: Request, studio: StudioDep, asked: AskedDep) -> Any:
    """OpenAI's image edit: one photo and words in, pictures out. A `mask` is refused. Streams as generations do."""
    limit, folder = studio.max_upload_bytes, studio.files.uploads
    with _photo_called_image():
        async with receive_upload(
            request, field=IMAGE_FIELDS, max_bytes=limit, tmp_dir=folder, refused=REFUSED_FILES
        ) as form:
            for name, reason in REFUSED_FILES.items():
                if form.last(name):
                    raise InvalidRequest(name, reason)
            sent = {name: values[-1] for name, values in form.fields.items() if any(values)}
            body = parse(ImageEdit, sent)
            body.plain()
            assert form.path is not None
            photo = await run_blocking(studio.files.adopt, form.path, form.sha256, form.filename)
            job = await _submitted(body, studio, asked, sent, {"photo": photo})
        if body.stream and not asked.respond_async:
            events = _events(body, studio, EditPartial, EditCompleted)
            return EventStream(asked, studio, job, events, named=_photo_called_image)
        return await _answered(body, studio, asked, job)


@contextmanager
def _photo_called_image() -> Iterator[None]:
    """Errors about a job's photo name the field that it came in here."""
    try:
        yield
    except InvalidRequest as error:
        if error.field == "photo":
            error.field = "image"
        raise
    except JobFailed as failed:
        if failed.field != "photo":
            raise
        raise JobFailed(replace(failed.error, field="image")) from failed


async def _submitted(
    body: ImageGeneration, studio: Studio, asked: Asked, sent: dict[str, Any], inputs: dict[str, Received]
) -> Job:
    if body.background == "transparent":
        if body.output_format == "jpeg":
            raise InvalidRequest("background", f"background is transparent, and {NO_TRANSPARENCY}")
        # Before a picture is made that could not be delivered.
        await run_blocking(studio.cut_outs.check)
    if body.stream and body.response_format == "url":
        raise InvalidRequest("response_format", "response_format is url: a stream carries b64_json only. Leave it out.")
    known = set(type(body).model_fields)
    if sent.get("model") == studio.image.info.name:
        known.add("model")
    warnings = unknown_fields(sent, known)
    if body.partial_images and not body.stream:
        warnings = (*warnings, Unused("partial_images", "partial_images has no effect without stream."))
    submission = Submission(
        kind="image",
        request=body.plain(),
        account=asked.account,
        inputs=inputs,
        user=body.safety_identifier or body.user,
        idempotency_key=asked.idempotency_key,
        warnings=warnings,
    )
    return await submit(studio, submission)


def _events(
    body: ImageGeneration,
    studio: Studio,
    partial: type[GenerationPartial] | type[EditPartial],
    completed: type[GenerationCompleted] | type[EditCompleted],
) -> ImageEvents:
    cut_outs = _cut_outs(body, studio)
    return ImageEvents(studio.queue, partial, completed, body.output_format, body.partial_images, cut_outs)


def _cut_outs(body: ImageGeneration, studio: Studio) -> CutOuts | None:
    return studio.cut_outs if body.background == "transparent" else None


async def _answered(body: ImageGeneration, studio: Studio, asked: Asked, job: Job) -> Response:
    if asked.respond_async:
        return accepted(asked, job)
    job = await finish(asked, studio, job, keep=body.response_format == "url")
    cut_outs = _cut_outs(body, studio)
    if body.response_format == "url" and cut_outs is None:
        pictures = [Delivered("") for _ in job.files]
    else:
        pngs = [await studio.queue.library.content(file) for file in job.files]
        pictures = await run_blocking(delivered, job, pngs, body.output_format, cut_outs)
    # Not on the event loop, and not through FastAPI's own encoder, which would go through the base64 twice more.
    return await run_blocking(_answer, job, body, asked.base_url, FileLinks(studio.signer), pictures)


def _answer(job: Job, body: ImageGeneration, base_url: str, links: FileLinks, pictures: list[Delivered]) -> Response:
    result = job.result
    assert isinstance(result, PicturesResult)
    data = []
    for picture, made in zip(result.images, pictures, strict=True):
        if body.response_format == "url":
            background = "transparent" if made.background == "transparent" else None
            url = links.link(base_url, picture.file_id, body.output_format, background)
            data.append(ImageData(seed=picture.seed, url=url))
        else:
            data.append(ImageData(seed=picture.seed, b64_json=made.b64))
    first = result.images[0]
    answer = ImagesAnswer(
        created=int(job.created_at),
        data=tuple(data),
        size=f"{first.width}x{first.height}",
        output_format=body.output_format,
        background="transparent" if all(made.background == "transparent" for made in pictures) else "opaque",
        model=result.model,
        demo=result.demo,
        job_id=job.id,
        warnings=(*job.warnings, *(told for made in pictures for told in made.warnings)),
    )
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")
