"""The process for pictures with a small engine in it, which dies, hangs and fails as the prompt asks it to.

Its only argument, where there is one, is the device that it finds: a name, or `dies` for none.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

from engines.child import Child, spawn
from engines.devices import Device
from engines.errors import ModelMissing, OutOfMemory
from engines.events import OnEvent, OnProgress, ignore
from engines.requests import ImageRequest
from engines.results import ImageResult
from engines.sdxl.messages import send_device
from engines.sdxl.process import SdxlProcess
from engines.sdxl.start import kept
from engines.sdxl.worker import Server, open_channel
from engines.wire import Message
from tests.small_engines import BlobEngine

SMALL = 10**9
"""Bytes of its device's memory."""


class Nonsense:
    """An event that nobody understands."""

    type: ClassVar[str] = "nonsense"

    def data(self) -> dict[str, Any]:
        return {}


class MoodyEngine(BlobEngine):
    """`BlobEngine`, but for what the model's name and the prompt say. `folder`: where it remembers that it died."""

    def __init__(self, model: str, folder: Path) -> None:
        super().__init__()
        self._model = model
        self._folder = folder
        self.works = True

    def load(self, on_progress: OnProgress = ignore) -> None:
        super().load(on_progress)
        if self._model == "missing":
            raise ModelMissing("There is no model: fetch one.")
        if self._model == "deadly":
            die()

    def generate(self, request: ImageRequest, photo: Path | None, on_event: OnEvent, cancel: Event) -> ImageResult:
        result = super().generate(request, photo, on_event, cancel)
        match request.prompt.split():
            case ["die"]:
                die()
            case ["die", "once"] if not (self._folder / "died").exists():
                (self._folder / "died").touch()
                die()
            case ["hang"]:
                time.sleep(600)
            case ["wait"]:
                while not cancel.wait(0.01):
                    pass
                super().generate(request, photo, on_event, cancel)
            case ["memory"]:
                raise OutOfMemory("The memory of cpu did not suffice: choose a smaller size.")
            case ["fail" | "lose", *_]:
                self.works = request.prompt != "lose"
                raise LookupError(request.prompt)
            case ["nonsense"]:
                on_event(Nonsense())
        return result


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def process(
    folder: Path,
    *found: str,
    choose: Callable[[Device], str] = lambda _: "blob",
    cancel_seconds: float = 10.0,
) -> SdxlProcess:
    """The studio's side of it. `found`: this module's argument."""
    environment = kept(os.environ)

    def start() -> Child:
        return Child(partial(spawn, __name__, *found, environment=environment))

    return SdxlProcess(
        start(), start, choose, folder, folder, cancel_seconds=cancel_seconds, accelerated=lambda: bool(found)
    )


def main(*found: str) -> None:
    channel = open_channel()

    engines: list[MoodyEngine] = []

    def open_engine(message: Message) -> MoodyEngine:
        engines.append(MoodyEngine(message["model"], Path(message["models"])))
        return engines[-1]

    server = Server(channel, open_engine, lambda _: engines[-1].works)
    server.listen()
    if found == ("dies",):
        die()
    for name in found:
        send_device(channel, Device(name, "A card", SMALL))
    server.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
