"""The presets with their pictures, and what there is to start from: for pickers, the page's own and those of others."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from app.concurrency import run_blocking
from app.http.deps import StudioDep
from app.http.errors import ERRORS
from app.presets import ASPECTS, KINDS, Kind
from app.studio import Studio

router = APIRouter(tags=["images"], responses=ERRORS)

PICTURES = "/presets/pictures"
WEBP: dict[str, Any] = {
    "description": "The picture",
    "content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}},
}
KEEP_A_YEAR = "private, max-age=31536000, immutable"


class PresetView(BaseModel):
    """One look."""

    id: str
    name: str
    description: str = Field(description="What it does, and what the model in use makes of it")
    width: int
    height: int
    aspect: str | None
    suits: bool = Field(description="Whether the model in use draws it as it says")
    picture: str | None = Field(description="Path of a small WebP picture; none as long as none is made")


class ExampleView(BaseModel):
    """A prompt with a seed, for one picture."""

    prompt: str
    preset: str
    seed: int
    picture: str | None = Field(description="Path of a small WebP of what it gives; none as long as none is made")


class KindView(BaseModel):
    """One kind of picture."""

    first: str = Field(description="The preset to begin with on this model; a request without one has the first's look")
    presets: list[PresetView] = Field(description="In the order for a picker: what suits the model comes first")
    examples: list[ExampleView]


class PresetsView(BaseModel):
    """Everything to start from."""

    avatar: KindView
    hero: KindView
    more_pictures: bool = Field(description="Whether pictures that are missing are being made: ask again later")
    aspects: dict[str, tuple[int, int]] = Field(description="Of heroes: width and height in pixels by name")


@router.get("/presets")
async def read_presets(studio: StudioDep) -> PresetsView:
    """The presets of avatars and heroes, in order, with pictures made by the model in use."""
    return await run_blocking(_presets, studio)


@router.get(PICTURES + "/{file}", response_class=Response, responses={200: WEBP})
async def read_picture(file: str, studio: StudioDep, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """A picture of a preset or an example; another picture has another name, so it may be kept for good."""
    path = await run_blocking(studio.showcase_pictures.path, file)
    if path is None:
        raise HTTPException(404, "There is no such picture. GET /presets names those that there are.")
    headers = {"ETag": f'"{path.stem}"', "Cache-Control": KEEP_A_YEAR}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type="image/webp", headers=headers)


def _presets(studio: Studio) -> PresetsView:
    pictures = studio.showcase_pictures
    more = pictures.makes and bool(pictures.missing())
    kinds = {kind: _kind(studio, kind) for kind in KINDS}
    return PresetsView.model_validate({"aspects": ASPECTS, "more_pictures": more, **kinds})


def _kind(studio: Studio, kind: Kind) -> KindView:
    showcase, pictures = studio.showcase, studio.showcase_pictures
    return KindView(
        first=showcase.first(kind, studio.presets).id,
        presets=[
            PresetView(
                id=preset.id,
                name=preset.name,
                description=showcase.note(preset),
                width=preset.width,
                height=preset.height,
                aspect=preset.aspect,
                suits=showcase.suits(preset),
                picture=_path(pictures.of_preset(preset)),
            )
            for preset in showcase.in_order(kind, studio.presets)
        ],
        examples=[
            ExampleView(
                prompt=example.prompt,
                preset=example.preset,
                seed=example.seed,
                picture=_path(pictures.of_example(kind, number)),
            )
            for number, example in enumerate(showcase.of(kind).examples)
        ],
    )


def _path(file: str | None) -> str | None:
    return None if file is None else f"{PICTURES}/{file}"
