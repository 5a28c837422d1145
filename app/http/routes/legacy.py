"""The two routes that existing clients call: `/generate` and `/txt2img`, one picture, base64 out."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.concurrency import run_blocking
from app.http.deps import Asked, AskedDep, StudioDep, accepted, finish, submit
from app.http.errors import ERRORS
from app.jobs.model import Job
from app.jobs.queue import Submission
from app.studio import Studio
from app.work.image import Choices, PicturesResult, PlainRequest
from app.work.request import unknown_fields
from engines.requests import Guidance, Height, Prompt, Steps, Width, parse
from engines.results import Recipe, Unused

router = APIRouter(tags=["existing clients"], responses=ERRORS)

NOT_APPLIED = "This studio has no such stage; the picture is as the base model made it."


class Txt2Img(Choices):
    """What old clients send, in each spelling that they have. Fields that are not known are passed over."""

    prompt: Prompt
    width: Width = 1024
    height: Height = 1024
    steps: Steps | None = None
    cfg_scale: Guidance | None = None
    use_hires_fix: bool = False
    hires_fix: bool = False
    use_refiner: bool = False
    use_face_restoration: bool = False
    face_restoration_weight: Annotated[float | None, Field(ge=0, le=1)] = None
    use_realesrgan: bool = False
    upscale: bool | float = False

    def plain(self) -> PlainRequest:
        same = {name: getattr(self, name) for name in ("prompt", "width", "height", *Choices.model_fields)}
        spelled = {"num_inference_steps": self.steps, "guidance_scale": self.cfg_scale}
        return parse(PlainRequest, same | {name: value for name, value in spelled.items() if value is not None})

    def stages(self) -> tuple[str, ...]:
        """The stages that are asked for."""
        asked = {
            "hires_fix": self.use_hires_fix or self.hires_fix,
            "refiner": self.use_refiner,
            "face_restoration": self.use_face_restoration,
            "upscale": self.use_realesrgan or self.upscale is True or float(self.upscale) > 1,
        }
        return tuple(name for name, wanted in asked.items() if wanted)


class Stage(BaseModel):
    """Whether a stage that was asked for has been applied."""

    applied: bool
    reason: str = ""


class Txt2ImgAnswer(BaseModel):
    """One picture."""

    success: bool
    image: str = Field(description="data:image/png;base64,...")
    image_base64: str = Field(description="The same without the prefix")
    seed: int
    model: str
    demo: bool
    prompt: str
    final_resolution: str = Field(description="WIDTHxHEIGHT")
    generation_time_seconds: float
    stages: dict[str, Stage] = Field(description="For each stage that was asked for")
    job_id: str
    recipe: Recipe
    warnings: tuple[Unused, ...]


@router.post("/generate", response_model=Txt2ImgAnswer)
@router.post("/txt2img", response_model=Txt2ImgAnswer)
async def generate(body: Txt2Img, studio: StudioDep, asked: AskedDep) -> Any:
    """Make one picture and wait for it. Bad values: 422 with the field's name."""
    submission = Submission(
        kind="image",
        request=body.plain(),
        account=asked.account,
        idempotency_key=asked.idempotency_key,
        warnings=_unused(studio, body, asked),
    )
    job = await submit(studio, submission)
    if asked.respond_async:
        return accepted(asked, job)
    job = await finish(asked, studio, job)
    png = await studio.queue.library.content(job.files[0])
    # Not on the event loop, and not through FastAPI's own encoder, which would go through the base64 twice more.
    return await run_blocking(_answer, studio, job, body, png)


def _unused(studio: Studio, body: Txt2Img, asked: Asked) -> tuple[Unused, ...]:
    missing = [stage for stage in body.stages() if stage not in studio.image.info.stages]
    stages = tuple(Unused(stage, f"{stage} was not applied. {NOT_APPLIED}") for stage in missing)
    alone = "face_restoration_weight"
    if alone in body.model_fields_set and "face_restoration" not in body.stages():
        stages = (*stages, Unused(alone, f"{alone} has no effect without use_face_restoration."))
    return (*stages, *unknown_fields(asked.sent, set(Txt2Img.model_fields)))


def _answer(studio: Studio, job: Job, body: Txt2Img, png: bytes) -> Response:
    result = job.result
    assert isinstance(result, PicturesResult)
    picture = result.images[0]
    encoded = base64.b64encode(png).decode()
    able = studio.image.info.stages
    answer = Txt2ImgAnswer(
        success=True,
        image=f"data:image/png;base64,{encoded}",
        image_base64=encoded,
        seed=picture.seed,
        model=result.model,
        demo=result.demo,
        prompt=body.prompt,
        final_resolution=f"{picture.width}x{picture.height}",
        generation_time_seconds=result.seconds,
        stages={
            name: Stage(applied=name in able, reason="" if name in able else NOT_APPLIED) for name in body.stages()
        },
        job_id=job.id,
        recipe=picture.recipe,
        warnings=job.warnings,
    )
    return Response(answer.model_dump_json(), media_type="application/json")
