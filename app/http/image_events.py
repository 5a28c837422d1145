"""OpenAI's events of a picture that is being made: previews, and the pictures at the end."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Literal

from pydantic import Field

from app.concurrency import run_blocking
from app.http.routes.files import SAVE_OPTIONS, convert
from app.http.stream import Event, sse
from app.jobs.live import JobEvent
from app.jobs.model import Job
from app.jobs.queue import Queue
from app.work.image import PicturesResult, PictureWork
from engines.events import Preview
from engines.results import Result, Unused

OutputFormat = Literal["png", "jpeg", "webp"]


class InputTokens(Result):
    """Of the prompt."""

    image_tokens: int = 0
    text_tokens: int = 0


class ImageUsage(Result):
    """OpenAI's clients expect it. Nothing is counted in tokens here, so it is all zero."""

    input_tokens: int = 0
    input_tokens_details: InputTokens = InputTokens()
    output_tokens: int = 0
    total_tokens: int = 0


class _PictureEvent(Event):
    b64_json: str
    size: str = Field(description="WIDTHxHEIGHT of the finished picture, in pixels")
    output_format: OutputFormat
    quality: Literal["auto"] = "auto"
    background: Literal["opaque"] = "opaque"
    created_at: int
    job_id: str


class _PartialEvent(_PictureEvent):
    partial_image_index: int = Field(description="From 0")


class _CompletedEvent(_PictureEvent):
    usage: ImageUsage = ImageUsage()
    seed: int
    model: str
    demo: bool
    warnings: tuple[Unused, ...]


class GenerationPartial(_PartialEvent):
    """What the first picture looks like so far: small (at most 256 pixels a side) and rough."""

    type: Literal["image_generation.partial_image"] = "image_generation.partial_image"


class GenerationCompleted(_CompletedEvent):
    """One finished picture; of several, one event each in seed order."""

    type: Literal["image_generation.completed"] = "image_generation.completed"


class EditPartial(_PartialEvent):
    """The same of an edit."""

    type: Literal["image_edit.partial_image"] = "image_edit.partial_image"


class EditCompleted(_CompletedEvent):
    """The same of an edit."""

    type: Literal["image_edit.completed"] = "image_edit.completed"


class ImageEvents:
    """What one stream tells: at most `partial_images` previews, spread over the steps, then the pictures."""

    def __init__(
        self,
        queue: Queue,
        partial: type[GenerationPartial] | type[EditPartial],
        completed: type[GenerationCompleted] | type[EditCompleted],
        output_format: OutputFormat,
        partial_images: int,
    ) -> None:
        self._queue = queue
        self._partial = partial
        self._completed = completed
        self._format = output_format
        self._wanted = partial_images
        self._sent = 0

    async def __call__(self, event: JobEvent) -> list[bytes]:
        told = event.told
        if isinstance(told, Preview) and self._due(told):
            self._sent += 1
            return [await run_blocking(self._preview, event.job, told, self._sent - 1)]
        if event.job.final:
            pngs = [await self._queue.content(file) for file in event.job.files]
            return await run_blocking(self._pictures, event.job, pngs)
        return []

    def _due(self, preview: Preview) -> bool:
        """The first of 3 is due at a quarter of the steps, the last at three."""
        return self._sent < self._wanted and preview.step * (self._wanted + 1) >= preview.total * (self._sent + 1)

    def _preview(self, job: Job, preview: Preview, index: int) -> bytes:
        work = job.work
        assert isinstance(work, PictureWork)
        out = BytesIO()
        preview.image.convert("RGB").save(out, self._format.upper(), **SAVE_OPTIONS[self._format])
        event = self._partial(
            b64_json=base64.b64encode(out.getvalue()).decode(),
            size=f"{work.width}x{work.height}",
            output_format=self._format,
            created_at=int(job.created_at),
            job_id=job.id,
            partial_image_index=index,
        )
        return sse(event)

    def _pictures(self, job: Job, pngs: list[bytes]) -> list[bytes]:
        result = job.result
        assert isinstance(result, PicturesResult)
        return [
            sse(
                self._completed(
                    b64_json=in_format(png, self._format),
                    size=f"{picture.width}x{picture.height}",
                    output_format=self._format,
                    created_at=int(job.created_at),
                    seed=picture.seed,
                    model=result.model,
                    demo=result.demo,
                    job_id=job.id,
                    warnings=job.warnings,
                )
            )
            for picture, png in zip(result.images, pngs, strict=True)
        ]


def in_format(png: bytes, output_format: OutputFormat) -> str:
    """A picture of a result in base64."""
    return base64.b64encode(png if output_format == "png" else convert(png, output_format)).decode()
