"""Two doors to a live session: vosk-server's protocol and OpenAI's, for the studio and the speech service alike."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.websockets import WebSocket

from app.http.errors import problem_of
from app.http.live.connection import Connection
from app.http.live.realtime import RealtimeTalk
from app.http.live.vosk import VoskTalk
from app.studio import Service
from engines.errors import InvalidRequest
from engines.words import shown

router = APIRouter(prefix="/v1")


@router.websocket("/vosk")
async def vosk(socket: WebSocket) -> None:
    """vosk-server's protocol. In the query: `language`, `sample_rate` (hertz), `user`."""
    query = socket.query_params
    rate = query.get("sample_rate", "")
    if rate and not rate.isdecimal():
        await _refuse(socket, InvalidRequest("sample_rate", f"sample_rate is {shown(rate)}: send a number of hertz."))
        return
    connection = _connection(socket)
    if await connection.admit(_values(socket)):
        await connection.run(VoskTalk(connection, query.get("language"), int(rate) if rate else None))


@router.websocket("/realtime")
async def realtime(socket: WebSocket) -> None:
    """OpenAI's Realtime API, transcription sessions. In the query: `intent` (transcription), `language`, `user`."""
    intent = socket.query_params.get("intent", "transcription")
    if intent != "transcription":
        message = f"intent is {shown(intent)}: send transcription, the one kind of session here."
        await _refuse(socket, InvalidRequest("intent", message))
        return
    connection = _connection(socket)
    if await connection.admit(_values(socket)):
        talk = RealtimeTalk(connection, socket.query_params.get("language"))
        await talk.open()
        await connection.run(talk)


def _connection(socket: WebSocket) -> Connection:
    service: Service = socket.app.state.service
    return Connection(socket, service, service.live)


def _values(socket: WebSocket) -> dict[str, Any]:
    """What of a LiveRequest and its job stands in the query."""
    query = socket.query_params
    return {"language": query.get("language", ""), "post_id": query.get("post_id", ""), "user": query.get("user", "")}


async def _refuse(socket: WebSocket, error: InvalidRequest) -> None:
    await socket.send_denial_response(problem_of(error))
