"""OpenAI's events of a picture that is being made: previews, and the pictures at the end."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Literal

from pydantic import Field

from app.concurrency import run_blocking
from app.http.stream import Event, sse
from app.jobs.live import JobEvent
from app.jobs.model import Job
from app.jobs.queue import Queue
from app.work.background import KEEP, TRANSPARENT, CutOuts
from app.work.image import SAVE_OPTIONS, PicturesResult, PictureWork
from app.work.picture_file import CutOut, Wish, made
from engines.errors import NobodyFound
from engines.events import Preview
from engines.results import Result, Unused

OutputFormat = Literal["png", "jpeg", "webp"]
Background = Literal["transparent", "opaque"]


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
    background: Background = "opaque"
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
        cut_outs: CutOuts | None,
    ) -> None:
        """`cut_outs`: where the pictures are wanted without their background."""
        self._queue = queue
        self._partial = partial
        self._completed = completed
        self._format = output_format
        self._wanted = partial_images
        self._cut_outs = cut_outs
        self._sent = 0

    async def __call__(self, event: JobEvent) -> list[bytes]:
        told = event.told
        if isinstance(told, Preview) and self._due(told):
            self._sent += 1
            return [await run_blocking(self._preview, event.job, told, self._sent - 1)]
        if event.job.final:
            pngs = [await self._queue.library.content(file) for file in event.job.files]
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
        events = []
        for picture, one in zip(result.images, delivered(job, pngs, self._format, self._cut_outs), strict=True):
            event = self._completed(
                b64_json=one.b64,
                size=f"{picture.width}x{picture.height}",
                output_format=self._format,
                background=one.background,
                created_at=int(job.created_at),
                seed=picture.seed,
                model=result.model,
                demo=result.demo,
                job_id=job.id,
                warnings=(*job.warnings, *one.warnings),
            )
            events.append(sse(event))
        return events


@dataclass(frozen=True, slots=True)
class Delivered:
    """A picture of a result as a client gets it, in base64."""

    b64: str
    background: Background = "opaque"
    warnings: tuple[Unused, ...] = ()


def delivered(
    job: Job, pngs: Sequence[bytes], output_format: OutputFormat, cut_outs: CutOuts | None
) -> list[Delivered]:
    """The pictures of a job that has some, without their background where `cut_outs` are given and somebody is in them.

    Raises BackgroundModelMissing, ModelInvalid.
    """
    done = []
    for number, (file, png) in enumerate(zip(job.files, pngs, strict=True), start=1):
        try:
            cut_out = None if cut_outs is None else partial(cut_outs.of, file.sha256)
            done.append(_delivered(png, output_format, cut_out))
        except NobodyFound:
            told = Unused("background", f"Nobody was found in picture {number}, so it has kept its background.")
            done.append(replace(_delivered(png, output_format, None), warnings=(told,)))
    return done


def _delivered(png: bytes, output_format: OutputFormat, cut_out: CutOut | None) -> Delivered:
    wish = Wish(output_format, recipe=output_format == "png", background=TRANSPARENT if cut_out else KEEP)
    data = png if wish.as_stored else made(png, wish, cut_out)
    return Delivered(base64.b64encode(data).decode(), "transparent" if cut_out else "opaque")
