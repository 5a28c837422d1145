"""Pictures: the kind `image` (a whole prompt), and what it shares with the kinds that fill a preset in."""

from __future__ import annotations

import json
import secrets
from abc import abstractmethod
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.jobs.model import Context, Edit, Kind, Listing, Received
from app.work.cards import PictureCard, PicturesCard, shortened
from app.work.request import Address, JobRequest
from engines.picture_parts import exif_with
from engines.protocols import ImageEngine
from engines.requests import (
    MAX_SEED,
    Count,
    Guidance,
    Height,
    ImageRequest,
    NegativePrompt,
    PhotoStrength,
    Prompt,
    Sampler,
    SeedOrRandom,
    Steps,
    Width,
    parse,
)
from engines.results import ImageResult, Recipe, Result, Unused

DEVICE = "image"

SOFTWARE = "Carrot Studio"
RECIPE = "recipe"
"""Name of a PNG's text that holds the recipe as JSON."""

PictureFormat = Literal["png", "jpeg", "webp", "avif"]

# PNG at level 1: 5 times as fast as the default for a few percent more bytes. Quality 90 to 95 keeps skin free of
# visible blocks; WebP method 0 encodes 1024x1024 in about 30 ms.
SAVE_OPTIONS: dict[PictureFormat, dict[str, Any]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 95},
    "webp": {"quality": 90, "method": 0},
    "avif": {"quality": 80, "speed": 8},
}

WITHOUT_PHOTO = Unused("photo_strength", "photo_strength has no effect without a photo.")


class Settings(JobRequest):
    """How a picture is made. What is left out is the preset's or the model's own."""

    num_inference_steps: Steps | None = None
    guidance_scale: Guidance | None = None
    sampler: Sampler | None = None


SETTINGS = tuple(name for name in Settings.model_fields if name not in JobRequest.model_fields)
"""Names of them."""


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
    """A picture of exactly these words, and perhaps of a photo."""

    prompt: Prompt
    photo: Address | None = None
    photo_sha256: str | None = None
    photo_strength: PhotoStrength | None = None


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
    card_type = PicturesCard

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

    def complete(self, work: PictureWork, inputs: Mapping[str, Received]) -> PictureWork:
        photo = inputs["photo"]
        work = work.model_copy(update={"photo_sha256": photo.sha256})
        self._engine.check(work, photo.path)
        return work

    @abstractmethod
    def said(self, request: P) -> tuple[str, ...]:
        """The sender's own words; a list shows the first that are there."""

    def preset_name(self, preset_id: str) -> str:
        """What people call a preset."""
        return preset_id

    def listing(
        self,
        request: P,
        work: PictureWork,
        result: PicturesResult,
        edit: Edit,  # noqa: ARG002 - pictures have none
    ) -> Listing:
        said, preset = self.said(request), work.preset or ""
        images = tuple(
            PictureCard(file_id=one.file_id, seed=one.seed, width=one.width, height=one.height) for one in result.images
        )
        card = PicturesCard(words=shortened(next(filter(str.strip, said), "")), images=images)
        words = "\n".join([*said, preset, self.preset_name(preset)])
        return Listing(words=words, preset=preset, model=result.model, card=card)

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
    input = "photo"
    request_type = PlainRequest

    def said(self, request: PlainRequest) -> tuple[str, ...]:
        return (request.prompt,)

    def prepare(self, request: PlainRequest, inputs: Mapping[str, Received]) -> tuple[PictureWork, tuple[Unused, ...]]:
        work, unused = super().prepare(request, inputs)
        if not inputs and request.photo is None and request.photo_strength is not None:
            unused = (*unused, WITHOUT_PHOTO)
        return work, unused

    def fields(self, request: PlainRequest) -> dict[str, Any]:
        values = {"prompt": request.prompt, "negative_prompt": request.negative_prompt, **given_settings(request)}
        if request.photo_strength is not None:
            values["photo_strength"] = request.photo_strength
        return values


def given_settings(request: PictureRequest) -> dict[str, Any]:
    """Size and settings, as far as the sender chose them."""
    names = ("width", "height", *SETTINGS)
    return {name: value for name in names if (value := getattr(request, name)) is not None}


def encode_png(image: Image.Image, recipe: Recipe) -> bytes:
    """PNG with the recipe inside, as JSON in the text chunk `recipe`, so that a picture tells how it was made."""
    return encode_picture(image, "png", json.dumps(recipe.model_dump(exclude_none=True), ensure_ascii=False))


def encode_picture(image: Image.Image, target: PictureFormat, recipe: str = "") -> bytes:
    """A picture file with the recipe inside, if there is one: in a PNG as text, in the others as Exif's UserComment."""
    options: dict[str, Any] = dict(SAVE_OPTIONS[target])
    if recipe and target == "png":
        info = PngInfo()
        info.add_text("Software", SOFTWARE)
        info.add_itxt(RECIPE, recipe)
        options["pnginfo"] = info
    elif recipe:
        options["exif"] = exif_with(recipe, SOFTWARE)
    out = BytesIO()
    image.save(out, target.upper(), **options)
    return out.getvalue()
