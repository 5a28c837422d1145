"""Pictures: the kind `image` (a whole prompt), and what it shares with the kinds that fill a preset in."""

from __future__ import annotations

import json
import secrets
from abc import abstractmethod
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.jobs.model import Context, Kind, Received
from app.work.request import JobRequest
from engines.protocols import ImageEngine
from engines.requests import (
    MAX_SEED,
    Count,
    Guidance,
    Height,
    ImageRequest,
    NegativePrompt,
    Prompt,
    Sampler,
    SeedOrRandom,
    Steps,
    Width,
    parse,
)
from engines.results import ImageResult, Recipe, Result, Unused

DEVICE = "image"


class Settings(JobRequest):
    """How a picture is made. What is left out is the preset's or the model's own."""

    num_inference_steps: Steps | None = None
    guidance_scale: Guidance | None = None
    sampler: Sampler | None = None


SETTINGS = tuple(name for name in Settings.model_fields if name not in JobRequest.model_fields)


class Choices(Settings):
    """What every door to pictures lets its caller choose."""

    negative_prompt: NegativePrompt = ""
    seed: SeedOrRandom = -1


class PictureRequest(Choices):
    """What every kind of picture lets its sender choose."""

    count: Count = 1
    width: Width | None = None
    height: Height | None = None


class PlainRequest(PictureRequest):
    """A picture of exactly these words."""

    prompt: Prompt


class PictureWork(ImageRequest):
    """A request with everything filled in."""

    preset: str | None = None
    """Id of the preset whose words and settings are in it."""


class Picture(Result):
    """One picture of a result: its bytes are at `/files/{file_id}`."""

    file_id: str
    seed: int
    width: int
    height: int
    recipe: Recipe


class PicturesResult(Result):
    """What a job made, in seed order."""

    model: str
    model_label: str
    demo: bool
    seconds: float
    """Time in the engine."""
    images: tuple[Picture, ...]


P = TypeVar("P", bound=PictureRequest)


class PictureKind(Kind[P, PictureWork, ImageResult, PicturesResult]):
    """A kind of picture: subclasses say what their request's words and settings come to."""

    device = DEVICE
    work_type = PictureWork
    result_type = PicturesResult

    def __init__(self, engine: ImageEngine) -> None:
        self._engine = engine

    @abstractmethod
    def fields(self, request: P) -> dict[str, Any]:
        """The values of a PictureWork, seed and photo aside. Raises InvalidRequest."""

    def prepare(self, request: P, inputs: Mapping[str, Received]) -> tuple[PictureWork, tuple[Unused, ...]]:
        photo = inputs.get("photo")
        seed = secrets.randbelow(MAX_SEED + 1) if request.seed == -1 else request.seed
        values = {**self.fields(request), "seed": seed, "count": request.count}
        if photo is not None:
            values["photo_sha256"] = photo.sha256
        work = parse(PictureWork, values)
        return work, self._engine.check(work, None if photo is None else photo.path)

    def run(self, work: PictureWork, inputs: Mapping[str, Path], context: Context) -> ImageResult:
        return self._engine.generate(work, inputs.get("photo"), context.report, context.cancel)

    def store(self, work: PictureWork, made: ImageResult, context: Context) -> PicturesResult:
        pictures = []
        for number, generated in enumerate(made.images, start=1):
            recipe = generated.recipe.model_copy(update={"preset": work.preset})
            png = encode_png(generated.image, recipe)
            file = context.keep(f"{number}-{recipe.seed}.png", "image/png", png)
            width, height = generated.image.size
            pictures.append(Picture(file_id=file.id, seed=recipe.seed, width=width, height=height, recipe=recipe))
        info = self._engine.info
        return PicturesResult(
            model=info.name,
            model_label=info.label,
            demo=info.demo,
            seconds=round(made.seconds, 3),
            images=tuple(pictures),
        )


class PlainKind(PictureKind[PlainRequest]):
    """Pictures of a prompt as it is."""

    name: ClassVar[str] = "image"
    request_type = PlainRequest

    def fields(self, request: PlainRequest) -> dict[str, Any]:
        return {"prompt": request.prompt, "negative_prompt": request.negative_prompt, **given_settings(request)}


def given_settings(request: PictureRequest) -> dict[str, Any]:
    """Size and settings, as far as the sender chose them."""
    names = ("width", "height", *SETTINGS)
    return {name: value for name in names if (value := getattr(request, name)) is not None}


def encode_png(image: Image.Image, recipe: Recipe) -> bytes:
    """PNG with the recipe inside, as JSON in the text chunk `recipe`, so that a picture tells how it was made."""
    info = PngInfo()
    info.add_text("Software", "Carrot Studio")
    info.add_itxt("recipe", json.dumps(recipe.model_dump(exclude_none=True), ensure_ascii=False))
    out = BytesIO()
    # Level 1: 5 times as fast as the default for a few percent more bytes.
    image.save(out, "PNG", compress_level=1, pnginfo=info)
    return out.getvalue()
