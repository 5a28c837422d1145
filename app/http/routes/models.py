"""OpenAI's list of models: those that are in use here, for clients that ask before they work."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.http.deps import ServiceDep
from app.http.errors import ERRORS
from app.studio import Service, Studio
from engines.errors import StudioError
from engines.words import shown

router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=ERRORS)


class ModelNotFound(StudioError):
    """No model in use has this name."""

    code = "model_not_found"
    status = 404
    field = "model"


class ModelCard(BaseModel):
    """OpenAI's fields, then ours."""

    id: str
    object: Literal["model"] = "model"
    created: Annotated[int, Field(description="Not known here: always 0")] = 0
    owned_by: str = "carrot-studio"
    kind: Literal["image", "transcription"] = Field(description="What it makes")
    label: str = Field(description="For people")
    demo: bool


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: tuple[ModelCard, ...]


def _cards(service: Service) -> tuple[ModelCard, ...]:
    heard = service.speech.info
    speech = tuple(
        ModelCard(id=model.name, kind="transcription", label=model.label, demo=model.demo)
        for model in (heard, *heard.others)
    )
    if not isinstance(service, Studio):
        return speech
    drawn = service.image.info
    return (ModelCard(id=drawn.name, kind="image", label=drawn.label, demo=drawn.demo), *speech)


@router.get("/models")
async def list_models(service: ServiceDep) -> ModelList:
    """The models in use. Requests may name any: the one in use does the work, of speech models that of the language."""
    return ModelList(data=_cards(service))


# A model's name may have slashes, as a hub's id has.
@router.get("/models/{model:path}")
async def read_model(model: str, service: ServiceDep) -> ModelCard:
    """One of them; 404 for any other name."""
    for card in _cards(service):
        if card.id == model:
            return card
    raise ModelNotFound(f"model {shown(model)} is not in use here: GET /v1/models lists those that are.")
