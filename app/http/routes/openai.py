"""OpenAI's shapes, so that any OpenAI client works with another base URL."""

from __future__ import annotations

import base64
import re
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from app.concurrency import run_blocking
from app.http.deps import IdempotencyKeyDep, OwnerDep, StudioDep, finish
from app.http.transcripts import OPENAPI_BODY, open_transcription_form, render
from app.jobs.model import Job
from app.work.pictures import convert
from app.work.studio import Studio, transcript_of
from engines.errors import InvalidRequest
from engines.types import ImageRequest

router = APIRouter(prefix="/v1", tags=["OpenAI"])

AUTO_SIZE = "1024x1024"


class ImageGeneration(BaseModel):
    """OpenAI's fields, then ours. OpenAI's other fields (model, quality, user, ...) are accepted and ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    prompt: str
    n: int | None = 1
    size: str | None = AUTO_SIZE
    """WIDTHxHEIGHT in pixels, or auto."""
    response_format: Literal["b64_json", "url"] | None = "b64_json"
    output_format: Literal["png", "jpeg", "webp"] | None = "png"
    negative_prompt: str | None = ""
    seed: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    sampler: str | None = None

    def image_request(self) -> ImageRequest:
        size = AUTO_SIZE if self.size in (None, "auto") else self.size
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size or "")
        if match is None:
            raise InvalidRequest("size", f"size {self.size!r} must be WIDTHxHEIGHT in pixels, e.g. 1024x1024, or auto.")
        return ImageRequest(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt or "",
            width=int(match[1]),
            height=int(match[2]),
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            sampler=self.sampler,
            seed=self.seed,
            count=1 if self.n is None else self.n,
        )


@router.post("/images/generations")
async def generate_images(
    request: Request, body: ImageGeneration, studio: StudioDep, owner: OwnerDep, key: IdempotencyKeyDep
) -> JSONResponse:
    """OpenAI's image generation. `response_format` url gives links to `/files/{id}` on this host."""
    try:
        job = await run_blocking(studio.submit_image, body.image_request(), owner=owner, idempotency_key=key)
    except InvalidRequest as error:
        # The only field that OpenAI spells otherwise.
        raise InvalidRequest("n", str(error).replace("count", "n")) if error.field == "count" else error from error
    job = await finish(request, studio, job, keep=key is not None or body.response_format == "url")
    return JSONResponse(await run_blocking(_answer, studio, job, body, str(request.base_url)))


def _answer(studio: Studio, job: Job, body: ImageGeneration, base_url: str) -> dict[str, Any]:
    result = job.result or {}
    output_format = body.output_format or "png"
    data: list[dict[str, Any]] = []
    for picture in result["images"]:
        item: dict[str, Any] = {"seed": picture["seed"]}
        if body.response_format == "url":
            item["url"] = f"{base_url}files/{picture['file_id']}?format={output_format}"
        else:
            file, png = studio.jobs.file(picture["file_id"], job.owner)
            encoded = png if output_format == "png" else convert(file, png, output_format, None)[0]
            item["b64_json"] = base64.b64encode(encoded).decode()
        data.append(item)
    first = result["images"][0]
    return {
        "created": int(job.created_at),
        "data": data,
        "size": f"{first['width']}x{first['height']}",
        "output_format": output_format,
        "model": result["model"],
        "demo": result["demo"],
        "job_id": job.id,
    }


@router.post("/audio/transcriptions", openapi_extra=OPENAPI_BODY)
async def transcribe(request: Request, studio: StudioDep, owner: OwnerDep, key: IdempotencyKeyDep) -> Response:
    """OpenAI's transcription. No speech is empty text; with verbose_json each word has times and a confidence."""
    limit = studio.settings.max_upload_mb * 2**20
    async with open_transcription_form(request, max_bytes=limit, tmp_dir=studio.media.uploads) as form:
        job = await run_blocking(studio.submit_speech, form.request(), owner=owner, idempotency_key=key)
        response_format, granularities = form.response_format, form.granularities
    job = await finish(request, studio, job, keep=key is not None)
    return render(transcript_of(job), response_format, granularities)
