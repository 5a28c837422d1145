"""Is it alive, is it ready: for load balancers, existing clients and the page."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.concurrency import run_blocking
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


class Deliveries(BaseModel):
    """What has not arrived where jobs are told to, of one way to tell. `problem` is the last one; it names nobody."""

    name: str
    waiting: int
    oldest_seconds: float
    dead: int = Field(description="Given up; the operator's `launch.py deliveries` lists them")
    problem: str


class State(BaseModel):
    """The state alone."""

    status: Literal["healthy", "loading", "failed", "draining"]


class Ready(State):
    """The state, and what is still to be delivered; the speech service delivers nothing."""

    deliveries: tuple[Deliveries, ...] | None = None


class Health(State):
    """The state, and what it is made of. `image_model` is missing from the speech service."""

    models_loaded: bool
    model: ModelHealth | None = None
    """The speech service's one model, under the name that its callers read."""
    image_model: ModelHealth | None = None
    speech_model: ModelHealth
    speech_models: tuple[ModelHealth, ...] = Field(description="That one, and those of other languages")
    active: int
    """Jobs in work."""
    workers: tuple[WorkerHealth, ...]


@router.get("/health/live")
async def live() -> Alive:
    """200 as long as the process answers; needs no token."""
    return Alive()


@router.get("/health/ready", response_model_exclude_none=True, responses={503: {"model": Ready}})
async def ready(service: ServiceDep, response: Response) -> Ready:
    """200 when every engine can work, else 503, for probes. What cannot be delivered does not make it 503: another
    instance could deliver it no better."""
    state = service.state
    _mark(response, state)
    backlogs = await run_blocking(service.queue.outbox.backlogs) if service.senders else None
    deliveries = (
        None
        if backlogs is None
        else [
            Deliveries(
                name=backlog.deliverer,
                waiting=backlog.waiting,
                oldest_seconds=round(backlog.oldest_seconds, 1),
                dead=backlog.dead,
                problem=backlog.problem,
            )
            for backlog in backlogs
        ]
    )
    return Ready.model_validate({"status": state, "deliveries": deliveries})


@router.get("/health", response_model_exclude_none=True, responses={503: {"model": Health}})
async def health(service: ServiceDep, response: Response) -> Health:
    """200 and `healthy` when every engine can work; 503 with `loading`, `failed` or `draining` otherwise."""
    workers = service.status()
    info = service.speech.info
    heard = tuple(
        ModelHealth(name=model.name, label=model.label, demo=model.demo, language=model.language)
        for model in (info, *info.others)
    )
    speech = heard[0]
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
            "speech_models": heard,
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
