"""Is it alive, is it ready: for load balancers, existing clients and the page."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.http.deps import ServiceDep
from app.jobs.worker import WorkerState
from app.studio import Studio
from engines.events import Progress

router = APIRouter(tags=["health"])

PROBES = frozenset({"/health/live", "/health/ready"})
"""What platforms ask without a token."""


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class ModelHealth(BaseModel):
    """A model in use."""

    name: str
    label: str
    demo: bool
    language: str | None = None


class WorkerHealth(BaseModel):
    """One device: `waiting` and `running` count jobs; `problem` says why it failed."""

    name: str
    state: WorkerState
    waiting: int
    running: int
    problem: str
    loading: Progress | None = Field(None, description="How far the model is loaded; of a download in bytes")


class Ready(BaseModel):
    """The state alone."""

    status: Literal["healthy", "loading", "failed", "draining"]


class Health(Ready):
    """The state, and what it is made of. `image_model` is missing from the speech service."""

    models_loaded: bool
    model: ModelHealth | None = None
    """The speech service's one model, under the name that its callers read."""
    image_model: ModelHealth | None = None
    speech_model: ModelHealth
    active: int
    """Jobs in work."""
    workers: tuple[WorkerHealth, ...]


@router.get("/health/live")
async def live() -> Alive:
    """200 as long as the process answers; needs no token."""
    return Alive()


@router.get("/health/ready", responses={503: {"model": Ready}})
async def ready(service: ServiceDep, response: Response) -> Ready:
    """200 when every engine can work, else 503: for probes, so it tells a state and nothing else."""
    _mark(response, service.state)
    return Ready.model_validate({"status": service.state})


@router.get("/health", response_model_exclude_none=True, responses={503: {"model": Health}})
async def health(service: ServiceDep, response: Response) -> Health:
    """200 and `healthy` when every engine can work; 503 with `loading`, `failed` or `draining` otherwise."""
    workers = service.status()
    info = service.speech.info
    speech = ModelHealth(name=info.name, label=info.label, demo=info.demo, language=info.language)
    image = None
    if isinstance(service, Studio):
        about = service.image.info
        image = ModelHealth(name=about.name, label=about.label, demo=about.demo)
    state = service.state
    _mark(response, state)
    return Health.model_validate(
        {
            "status": state,
            "models_loaded": all(worker.state is WorkerState.READY for worker in workers),
            "model": speech if image is None else None,
            "image_model": image,
            "speech_model": speech,
            "active": sum(worker.running for worker in workers),
            "workers": [
                WorkerHealth(
                    name=worker.name,
                    state=worker.state,
                    waiting=worker.waiting,
                    running=worker.running,
                    problem=worker.problem,
                    loading=worker.loading,
                )
                for worker in workers
            ],
        }
    )


def _mark(response: Response, state: str) -> None:
    if state != "healthy":
        response.status_code = 503
        response.headers["Retry-After"] = "5"
