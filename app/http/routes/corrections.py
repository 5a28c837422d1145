"""An account's list of corrections: what its transcripts should spell otherwise."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from app.concurrency import run_blocking
from app.http.deps import AccountDep, StudioDep
from app.http.errors import ERRORS
from engines.requests import Corrections

router = APIRouter(prefix="/corrections", tags=["speech"], responses=ERRORS)


class CorrectionList(BaseModel):
    """In the order in which they are tried, the longer before the shorter."""

    model_config = ConfigDict(extra="forbid")

    corrections: Corrections


@router.get("")
async def read(studio: StudioDep, account: AccountDep) -> CorrectionList:
    """Your account's list. It is used for every transcription that is sent from now on."""
    return CorrectionList(corrections=await run_blocking(studio.correction_lists.get, account))


@router.put("")
async def write(wanted: CorrectionList, studio: StudioDep, account: AccountDep) -> CorrectionList:
    """Put this list in place of your account's. An empty one ends corrections."""
    await run_blocking(studio.correction_lists.put, account, wanted.corrections)
    return wanted
