"""What the studio and the process that makes its pictures tell each other (see engines/wire.py for how).

To the process:
  {"do": "load", "model", "device", "models", "registry"}
  {"do": "generate", "request": {...}, "photo": path or null}
  {"do": "cancel"}: what it is at
From it:
  {"event": "device", ...}: as engines/devices.py found it, where there may be more than a CPU; unasked, and once
  {"event": "progress", stage, step, total, fraction}
  {"event": "preview", step, total} and {"event": "picture", recipe}, each with "size" and a file of its pixels
then one of
  {"event": "loaded"}
  {"event": "made", seconds}
  {"event": "failed", code, message, field}
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from PIL import Image

from engines.devices import Device
from engines.errors import (
    Cancelled,
    DownloadFailed,
    InvalidMedia,
    InvalidRequest,
    ModelInvalid,
    ModelMissing,
    OutOfMemory,
    ServiceUnavailable,
    StudioError,
)
from engines.events import Event, Preview, Progress
from engines.requests import MAX_SIDE
from engines.results import GeneratedImage, ImageResult, Recipe
from engines.wire import FILE_MARK, Channel, Message, file_of

ERRORS = {
    error.code: error
    for error in (Cancelled, DownloadFailed, ModelInvalid, ModelMissing, OutOfMemory, ServiceUnavailable)
}
BLAMING = {error.code: error for error in (InvalidMedia, InvalidRequest)}
"""Errors by code; these name a field."""

INTERNAL = "internal_error"


DEVICE_LOST = 75
"""Exit status after an error that leaves CUDA unusable for this process (sysexits.h calls it a temporary failure)."""


class WorkerFailed(Exception):
    """An error in the process that its programmer did not expect. The process's own lines in the log tell more."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is on its device."""


@dataclass(frozen=True, slots=True)
class Made:
    """All pictures have been told. `seconds`: wall time in the engine."""

    seconds: float


Said = Device | Progress | Preview | GeneratedImage | Loaded | Made


def read(message: Message) -> Said:
    """What the process says. Raises what it failed with, and KeyError, TypeError or ValueError for nonsense."""
    match message["event"]:
        case "device":
            return Device(**{name: message[name] for name in ("name", "label", "memory", "note")})
        case "progress":
            return Progress(**{name: message[name] for name in ("stage", "step", "total", "fraction")})
        case "preview":
            return Preview(_picture_of(message), message["step"], message["total"])
        case "picture":
            return GeneratedImage(_picture_of(message), Recipe.model_validate(message["recipe"]))
        case "loaded":
            return Loaded()
        case "made":
            return Made(float(message["seconds"]))
        case "failed":
            raise _error_of(message)
    raise ValueError("there is no such message")


def send_device(channel: Channel, device: Device) -> None:
    """Raises OSError when the other end is gone, as all that follow do."""
    channel.send({"event": "device", **asdict(device)})


def send_event(channel: Channel, event: Event) -> None:
    """An engine's Progress or Preview."""
    if isinstance(event, Preview):
        _send_picture(channel, {"event": "preview", "step": event.step, "total": event.total}, event.image)
    else:
        channel.send({"event": event.type, **event.data()})


def send_loaded(channel: Channel) -> None:
    channel.send({"event": "loaded"})


def send_result(channel: Channel, result: ImageResult) -> None:
    for made in result.images:
        _send_picture(channel, {"event": "picture", "recipe": made.recipe.model_dump(mode="json")}, made.image)
    channel.send({"event": "made", "seconds": result.seconds})


def send_error(channel: Channel, error: Exception) -> None:
    """The text of one that nobody expected stays here."""
    if isinstance(error, StudioError):
        channel.send({"event": "failed", "code": error.code, "message": str(error), "field": error.field})
    else:
        channel.send({"event": "failed", "code": INTERNAL, "message": "", "field": None})


def _error_of(message: Message) -> Exception:
    code, text = message["code"], str(message["message"])
    if code in BLAMING:
        return BLAMING[code](str(message["field"]), text)
    return ERRORS[code](text) if code in ERRORS else WorkerFailed()


def _send_picture(channel: Channel, message: Message, picture: Image.Image) -> None:
    with file_of([picture.convert("RGB").tobytes()]) as file:
        channel.send({**message, "size": picture.size}, file.fileno())


def _picture_of(message: Message) -> Image.Image:
    with os.fdopen(message[FILE_MARK], "rb") as file:
        width, height = message["size"]
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise ValueError("no picture has this size")
        # The two ends share one place in the file, which is at its end.
        file.seek(0)
        return Image.frombytes("RGB", (width, height), file.read(width * height * 3))
