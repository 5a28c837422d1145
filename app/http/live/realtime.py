"""OpenAI's Realtime API (GA), of which transcription sessions are spoken: `session.type` `transcription`.

In: session.update, input_audio_buffer.append, .commit and .clear. Out: the events of openai's clients; an item is an
utterance, which the recogniser ends at a pause, or the client by `commit` where it has switched turn_detection off.
Deltas hold words that will not change any more, as far as can be told; `completed` has the text that counts.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from app.http.live.connection import Connection
from app.http.live.settling import Settling
from app.jobs.model import JobError
from engines.errors import InvalidRequest
from engines.requests import ListenRequest, parse
from engines.results import Heard, Segment
from engines.words import did_you_mean, shown

DEFAULT_RATE = 24_000
"""What audio/pcm has in OpenAI's API, and what a client sends that says nothing."""

TRANSCRIPTION = "conversation.item.input_audio_transcription"

SOUND, COMMIT, CLEAR = "sound", "commit", "clear"


@dataclass(slots=True)
class _Item:
    """An utterance that has begun. Times in seconds from the session's start."""

    start: float
    id: str = field(default_factory=lambda: f"item_{secrets.token_hex(10)}")
    end: float = 0.0
    texts: list[str] = field(default_factory=list)
    settling: Settling = field(default_factory=Settling)
    told: bool = False
    """Some of it has been told, so that what follows begins with a space."""


class RealtimeTalk:
    """See `Talk`."""

    def __init__(self, connection: Connection, language: str | None) -> None:
        self._connection = connection
        self._language = language
        self._rate: object = DEFAULT_RATE
        self._turns: dict[str, Any] | None = {"type": "server_vad"}
        self._warnings: dict[str, str] = {}
        self._asked: deque[str] = deque()
        """What the answers to come belong to."""
        self._uncommitted = 0
        """Bytes since the last commit."""
        self._item: _Item | None = None
        self._previous: str | None = None

    async def open(self) -> None:
        await self._connection.say(self._event("session.created", session=self._session()))

    # -- what the client sends

    async def take(self, message: str | bytes) -> None:
        event_id = None
        try:
            told = _event_of(message)
            event_id = told.get("event_id")
            await self._obey(told)
        except InvalidRequest as error:
            # As in OpenAI's API the session goes on: most errors are about one event.
            await self._connection.say(self._error(JobError.of(error), event_id))

    async def _obey(self, told: dict[str, Any]) -> None:
        kind = told.get("type")
        match kind:
            case "session.update":
                self._update(told.get("session"))
                await self._connection.say(self._event("session.updated", session=self._session()))
            case "input_audio_buffer.append":
                await self._append(told.get("audio"))
            case "input_audio_buffer.commit":
                if not self._uncommitted:
                    raise InvalidRequest("type", "There is nothing to commit: append sound first.")
                self._uncommitted = 0
                self._asked.append(COMMIT)
                await self._connection.flush()
            case "input_audio_buffer.clear":
                self._uncommitted = 0
                if not self._connection.begun:
                    await self._connection.say(self._event("input_audio_buffer.cleared"))
                    return
                self._asked.append(CLEAR)
                await self._connection.flush()
            case _:
                known = ("session.update", *(f"input_audio_buffer.{name}" for name in ("append", "commit", "clear")))
                meant = did_you_mean(str(kind)[:64], known)
                raise InvalidRequest("type", f"type is {shown(kind)}: send one of {', '.join(known)}.{meant}")

    async def _append(self, audio: object) -> None:
        try:
            sound = base64.b64decode(audio if isinstance(audio, str) else "-", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest("audio", "audio must be base64 of 16 bit PCM.") from error
        if not self._connection.begun:
            await self._connection.begin({"sample_rate": self._rate, "language": self._language})
        self._uncommitted += len(sound)
        self._asked.append(SOUND)
        await self._connection.send(sound)

    def _update(self, session: object) -> None:
        session = _dict("session", session)
        if session.get("type") != "transcription":
            raise InvalidRequest(
                "session.type",
                f"session.type is {shown(session.get('type'))}: send transcription, the one kind of session here.",
            )
        audio = _dict("session.audio", session.get("audio") or {})
        given = _dict("session.audio.input", audio.get("input") or {})
        rate = self._rate
        if given.get("format") is not None:
            rate = _rate_of(_dict("session.audio.input.format", given["format"]))
        transcription = _dict("session.audio.input.transcription", given.get("transcription") or {})
        language = transcription.get("language") or self._language
        # All of it is looked at before any of it is taken.
        parse(ListenRequest, {"sample_rate": rate, "language": language})
        if self._connection.begun and (rate, language) != (self._rate, self._language):
            raise InvalidRequest("session.audio.input", "Format and language stand once sound has come.")
        self._rate, self._language = rate, language
        if "turn_detection" in given:
            self._turns = given["turn_detection"] and _dict(
                "session.audio.input.turn_detection", given["turn_detection"]
            )
        self._warn(session, given, transcription)

    def _warn(self, session: dict[str, Any], given: dict[str, Any], transcription: dict[str, Any]) -> None:
        sent = {
            "include": session.get("include"),
            "noise_reduction": given.get("noise_reduction"),
            "prompt": transcription.get("prompt"),
            **{f"turn_detection.{name}": value for name, value in (self._turns or {}).items() if name != "type"},
        }
        self._warnings = {name: f"{name} has no effect here." for name, value in sent.items() if value}

    # -- what it is told

    def heard(self, heard: Heard, *, last: bool) -> list[dict[str, Any]]:
        asked = "" if last else self._asked.popleft()
        if asked == CLEAR:
            self._item = None
            return [self._event("input_audio_buffer.cleared")]
        told: list[dict[str, Any]] = []
        for segment in heard.segments:
            told += self._segment(segment)
            if self._turns is not None:
                told += self._complete(heard.seconds)
        if heard.partial:
            told += self._partial(heard)
        if asked == COMMIT or (last and self._item is not None):
            told += self._complete(heard.seconds)
        return told

    def _partial(self, heard: Heard) -> list[dict[str, Any]]:
        told = self._begun(heard.seconds)
        assert self._item is not None
        return [*told, *self._delta(self._item, self._item.settling.guess(heard.partial))]

    def _segment(self, segment: Segment) -> list[dict[str, Any]]:
        told = self._begun(segment.start)
        item = self._item
        assert item is not None
        told += self._delta(item, item.settling.end(segment.text))
        item.texts.append(segment.text)
        item.end = segment.end
        return told

    def _begun(self, start: float) -> list[dict[str, Any]]:
        if self._item is not None:
            return []
        self._item = _Item(start)
        if self._turns is None:
            return []
        milliseconds = round(start * 1000)
        name = "input_audio_buffer.speech_started"
        return [self._event(name, audio_start_ms=milliseconds, item_id=self._item.id)]

    def _delta(self, item: _Item, text: str) -> list[dict[str, Any]]:
        if not text:
            return []
        if item.told and not text.startswith(" "):
            text = f" {text}"
        item.told = True
        return [self._event(f"{TRANSCRIPTION}.delta", item_id=item.id, content_index=0, delta=text)]

    def _complete(self, seconds: float) -> list[dict[str, Any]]:
        """The item is whole. A commit of silence is an item without text."""
        item = self._item or _Item(seconds, end=seconds)
        end = item.end or seconds
        told = []
        if self._turns is not None and self._item is not None:
            name = "input_audio_buffer.speech_stopped"
            told.append(self._event(name, audio_end_ms=round(end * 1000), item_id=item.id))
        told.append(self._event("input_audio_buffer.committed", item_id=item.id, previous_item_id=self._previous))
        told.append(
            self._event(
                f"{TRANSCRIPTION}.completed",
                item_id=item.id,
                content_index=0,
                transcript=" ".join(item.texts),
                usage={"type": "duration", "seconds": round(max(0.0, end - item.start), 3)},
            )
        )
        self._item, self._previous = None, item.id
        return told

    def refused(self, error: JobError) -> list[dict[str, Any]]:
        return [self._error(error, None)]

    def _error(self, error: JobError, event_id: object) -> dict[str, Any]:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        told = {"type": kind, "code": error.type, "message": error.message, "param": error.field}
        return self._event("error", error={**told, "event_id": event_id if isinstance(event_id, str) else None})

    def _session(self) -> dict[str, Any]:
        transcription = {"model": self._connection.model, "language": self._language}
        return {
            "id": f"sess_{self._connection.job_id}",
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": self._rate},
                    "transcription": transcription,
                    "noise_reduction": None,
                    "turn_detection": self._turns,
                }
            },
            "job_id": self._connection.job_id,
            "warnings": [{"field": name, "message": message} for name, message in self._warnings.items()],
        }

    def _event(self, kind: str, **values: Any) -> dict[str, Any]:
        return {"type": kind, "event_id": f"event_{secrets.token_hex(10)}", **values}


def _event_of(message: str | bytes) -> dict[str, Any]:
    try:
        return _dict("event", json.loads(message))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("event", "A message is not valid JSON: send events as text.") from error


def _dict(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(name, f"{name} must be a JSON object.")
    return value


def _rate_of(given: dict[str, Any]) -> object:
    if given.get("type") != "audio/pcm":
        raise InvalidRequest(
            "session.audio.input.format.type",
            f"session.audio.input.format.type is {shown(given.get('type'))}: send audio/pcm, 16 bit and one channel.",
        )
    return given.get("rate") or DEFAULT_RATE
