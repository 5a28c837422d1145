"""The microphones of the studio's own machine, for a page whose person sits at it. Only with STUDIO_MICROPHONE=1.

Their sound goes to the page, which sends it to /v1/vosk as it does with its browser's: a session has one way in.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.concurrency import run_blocking
from app.http.errors import ERRORS
from app.microphone import Microphone, MicrophoneLost, Microphones
from engines.errors import StudioError
from engines.words import shown

router = APIRouter(prefix="/v1/microphones", tags=["speech"], responses=ERRORS)

MAX_BEHIND = 600
"""Pieces, a minute of them, that may wait for a page that is busy."""
NORMAL, FAILED = 1000, 1011
"""Close codes of RFC 6455, section 7.4.1."""


class MicrophoneView(BaseModel):
    """One that can be listened to at `WS /v1/microphones/{number}`."""

    number: int
    name: str
    sample_rate: int = Field(description="Hertz")
    default: bool


class MicrophoneList(BaseModel):
    """Empty where the machine has none."""

    microphones: list[MicrophoneView]


@router.get("")
async def list_microphones(request: Request) -> MicrophoneList:
    """The microphones of the studio's machine, as they are plugged in now."""
    there: Microphones = request.app.state.microphones
    found = await run_blocking(there.all)
    return MicrophoneList.model_validate({"microphones": found}, from_attributes=True)


@router.websocket("/{number}")
async def listen(socket: WebSocket, number: str) -> None:
    """What one of them hears: first `{"sample_rate": ..., "name": ...}`, then int16 mono, little-endian, ten messages a
    second. `end` from the client stops it, after what was heard until then. What is wrong is told as
    `{"error": {"code": ..., "message": ...}}`, and the connection closed with 1011."""
    await socket.accept()
    there: Microphones = socket.app.state.microphones
    try:
        microphone = await run_blocking(there.find, int(number) if number.isdecimal() else shown(number))
        await _pass_on(socket, there, microphone)
    except StudioError as error:
        await socket.send_text(json.dumps({"error": {"code": error.code, "message": str(error)}}))
        await socket.close(FAILED)
    except WebSocketDisconnect:
        return
    await socket.close(NORMAL)


async def _pass_on(socket: WebSocket, there: Microphones, microphone: Microphone) -> None:
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def on_sound(sound: bytes, _overflow: bool) -> None:
        with suppress(RuntimeError):  # the loop is closed: the studio stops
            loop.call_soon_threadsafe(pieces.put_nowait, sound)

    with there.recording(microphone, on_sound):
        await socket.send_text(json.dumps({"sample_rate": microphone.sample_rate, "name": microphone.name}))
        ended = asyncio.create_task(socket.receive())
        try:
            while not ended.done():
                if pieces.qsize() > MAX_BEHIND:
                    raise MicrophoneLost("The page was too slow to take the microphone's sound. Record again.")
                with suppress(TimeoutError):
                    await socket.send_bytes(await asyncio.wait_for(pieces.get(), 0.1))
        finally:
            ended.cancel()
    if ended.result()["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    while not pieces.empty():
        await socket.send_bytes(pieces.get_nowait())
