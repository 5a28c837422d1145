"""The two routes that existing clients call: `/generate` and `/txt2img`, one picture, base64 out."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from app.concurrency import run_blocking
from app.http.deps import IdempotencyKeyDep, OwnerDep, StudioDep, finish
from app.jobs.model import Job
from app.work.studio import Studio
from engines.errors import InvalidRequest
from engines.types import ImageRequest

router = APIRouter(tags=["existing clients"])

NOT_INSTALLED = "This studio has no such stage; the picture is as the base model made it."


def either(*names: str) -> Any:
    """A field that existing clients spell in several ways."""
    return AliasChoices(*names)


class Txt2Img(BaseModel):
    """Unknown fields, `model` among them, are ignored: old clients send many."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    prompt: str
    negative_prompt: str | None = ""
    seed: int | None = -1
    """-1 draws one."""
    width: int = 1024
    height: int = 1024
    num_inference_steps: Annotated[int | None, Field(validation_alias=either("steps", "num_inference_steps"))] = None
    guidance_scale: Annotated[float | None, Field(validation_alias=either("cfg_scale", "guidance_scale"))] = None
    hires_fix: Annotated[bool, Field(validation_alias=either("use_hires_fix", "hires_fix"))] = False
    refiner: Annotated[bool, Field(validation_alias=either("use_refiner"))] = False
    face_restoration: Annotated[bool, Field(validation_alias=either("use_face_restoration"))] = False
    upscale: Annotated[bool | float, Field(validation_alias=either("use_realesrgan", "upscale"))] = False

    def image_request(self) -> ImageRequest:
        return ImageRequest(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt or "",
            width=self.width,
            height=self.height,
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            seed=self.seed,
        )

    def stages(self) -> dict[str, dict[str, Any]]:
        """For each stage that was asked for, whether it was applied. A stage is never skipped in silence."""
        asked = {
            "hires_fix": self.hires_fix,
            "refiner": self.refiner,
            "face_restoration": self.face_restoration,
            "upscale": self.upscale is True or float(self.upscale) > 1,
        }
        return {name: {"applied": False, "reason": NOT_INSTALLED} for name, wanted in asked.items() if wanted}


@router.post("/generate")
@router.post("/txt2img")
async def generate(
    request: Request, body: Txt2Img, studio: StudioDep, owner: OwnerDep, key: IdempotencyKeyDep
) -> JSONResponse:
    """Make one picture and wait for it. Bad values: 422 with the field's name."""
    try:
        job = await run_blocking(studio.submit_image, body.image_request(), owner=owner, idempotency_key=key)
    except InvalidRequest as error:
        raise await _in_callers_words(request, error) from error
    job = await finish(request, studio, job, keep=key is not None)
    return JSONResponse(await run_blocking(_answer, studio, job, body))


def _answer(studio: Studio, job: Job, body: Txt2Img) -> dict[str, Any]:
    result = job.result or {}
    picture = result["images"][0]
    _, data = studio.jobs.file(picture["file_id"], job.owner)
    encoded = base64.b64encode(data).decode()
    return {
        "success": True,
        "image": f"data:image/png;base64,{encoded}",
        "image_base64": encoded,
        "seed": picture["seed"],
        "model": result["model"],
        "demo": result["demo"],
        "prompt": body.prompt,
        "final_resolution": f"{picture['width']}x{picture['height']}",
        "generation_time_seconds": result["seconds"],
        "stages": body.stages(),
        "job_id": job.id,
        "recipe": picture["recipe"],
    }


async def _in_callers_words(request: Request, error: InvalidRequest) -> InvalidRequest:
    """The same error with the field spelled as the caller spelled it."""
    spellings = {"num_inference_steps": "steps", "guidance_scale": "cfg_scale"}
    sent = await request.json()
    spelling = spellings.get(error.field)
    if spelling is None or spelling not in sent:
        return error
    return InvalidRequest(spelling, str(error).replace(error.field, spelling))
