"""Is the studio alive, is it ready: for load balancers, existing clients and the page."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.http.deps import StudioDep
from app.jobs.lane import LaneState
from app.work.studio import Studio

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """200 as long as the process answers; needs no token."""
    return {"status": "alive"}


@router.get("/health")
@router.get("/health/ready")
async def health(studio: StudioDep) -> JSONResponse:
    """200 and `healthy` when every engine can work; 503 with `loading`, `failed` or `draining` otherwise."""
    status = _status(studio)
    body: dict[str, Any] = {
        "status": status,
        "models_loaded": all(lane.state is LaneState.READY for lane in studio.jobs.status()),
        "image_model": {"name": studio.image.info.name, "demo": studio.image.info.demo},
        "speech_model": {"name": studio.speech.info.name, "demo": studio.speech.info.demo},
        "lanes": [
            {
                "name": lane.name,
                "state": lane.state.value,
                "waiting": lane.waiting,
                "running": lane.running,
                "problem": lane.problem,
            }
            for lane in studio.jobs.status()
        ],
    }
    if status == "healthy":
        return JSONResponse(body)
    return JSONResponse(body, status_code=503, headers={"Retry-After": "5"})


def _status(studio: Studio) -> str:
    if studio.jobs.draining:
        return "draining"
    states = {lane.state for lane in studio.jobs.status()}
    if LaneState.FAILED in states:
        return "failed"
    return "loading" if LaneState.LOADING in states else "healthy"
