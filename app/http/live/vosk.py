"""vosk-server's protocol (github.com/alphacep/vosk-server), so that its clients work here.

In: {"config": {"sample_rate", "words", "phrase_list"}} before the first sound, sound as binary messages, {"eof": 1}.
Out: for each message of sound one answer, {"partial"} or {"result", "text"}, because those clients wait for it before
they send more; after eof the rest, and with it `job_id`, under which the transcript is kept, and `warnings`.
"""

from __future__ import annotations

import json
from typing import Any

from app.http.live.connection import Connection, Over
from app.jobs.model import JobError
from engines.errors import InvalidRequest
from engines.results import Heard, Segment
from engines.speech.vocabulary import UNKNOWN_WORDS
from engines.words import shown

DEFAULT_RATE = 8000
"""What vosk-server takes sound for that comes without a config, and its page in a browser sends."""

UNUSED = {
    "max_alternatives": "max_alternatives has no effect here: there is one result, with confidences.",
    "model": "model has no effect here: the loaded model is used.",
    "grammar": "grammar has no effect here: send its phrases as phrase_list.",
}


class VoskTalk:
    """See `Talk`."""

    def __init__(self, connection: Connection, language: str | None, sample_rate: int | None) -> None:
        self._connection = connection
        self._language = language
        self._rate: object = sample_rate or DEFAULT_RATE
        self._words = True
        self._phrases: list[Any] = []
        self._warnings: dict[str, str] = {}

    async def take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            if not self._connection.begun:
                await self._begin()
            await self._connection.send(message)
            return
        told = _object(message)
        if "eof" in told:
            raise Over
        if "config" not in told:
            raise InvalidRequest(
                "message", 'A text message must hold "config" or "eof", e.g. {"config": {"sample_rate": 16000}}.'
            )
        self._configure(told["config"])

    async def _begin(self) -> None:
        values = {"sample_rate": self._rate, "language": self._language, "vocabulary": self._phrases}
        try:
            unused = await self._connection.begin(values)
        except InvalidRequest as error:
            if not error.field.startswith("vocabulary"):
                raise
            raise InvalidRequest("phrase_list", f"phrase_list was not taken. {error}") from error
        for item in unused:
            self._warnings["phrase_list"] = item.message

    def _configure(self, config: object) -> None:
        if not isinstance(config, dict):
            raise InvalidRequest("config", 'config must be a JSON object, e.g. {"sample_rate": 16000}.')
        if self._connection.begun:
            self._warnings["config"] = "config came after the first sound, and was not used."
            return
        for name, value in config.items():
            if name == "sample_rate":
                self._rate = _rate(value)
            elif name == "words":
                self._words = bool(value)
            elif name == "phrase_list":
                self._phrases = _phrases(value)
            elif value:
                field = str(name)[:64]
                self._warnings[field] = UNUSED.get(field, f"{field} is not known here and was not used.")

    def heard(self, heard: Heard, *, last: bool) -> list[dict[str, Any]]:
        if not last:
            return [self._result(heard.segments) if heard.segments else {"partial": heard.partial}]
        warnings = [{"field": field, "message": message} for field, message in self._warnings.items()]
        return [{**self._result(heard.segments), "job_id": self._connection.job_id, "warnings": warnings}]

    def _result(self, segments: tuple[Segment, ...]) -> dict[str, Any]:
        text = {"text": " ".join(segment.text for segment in segments)}
        if not self._words or not segments:
            return text
        words = [
            {"conf": round(word.confidence, 6), "end": word.end, "start": word.start, "word": word.word}
            for segment in segments
            for word in segment.words
        ]
        return {"result": words, **text}

    def refused(self, error: JobError) -> list[dict[str, Any]]:
        return [{"error": {"type": error.type, "message": error.message, "field": error.field}}]


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("message", "A text message is not valid JSON: send sound as binary messages.") from error
    if not isinstance(told, dict):
        raise InvalidRequest("message", 'A text message must be a JSON object, e.g. {"eof": 1}.')
    return told


def _phrases(value: object) -> list[Any]:
    """As vosk-server takes it: what cannot be listened for ends the session only where nothing can."""
    if not isinstance(value, list):
        raise InvalidRequest("phrase_list", f"phrase_list is {shown(value)}: send a list of words and phrases.")
    # Vosk's own mark for everything else is always listened for.
    return [phrase for phrase in value if phrase not in UNKNOWN_WORDS]


def _rate(value: object) -> object:
    """As text too, which vosk-server takes. What is no number is left for the request's own check to refuse."""
    try:
        return int(value) if isinstance(value, str) else value
    except ValueError as error:
        raise InvalidRequest("sample_rate", f"sample_rate is {shown(value)}: send a number of hertz.") from error
