"""SDXL behind the ImageEngine protocol, in a process of its own: the studio's side.

The studio so never imports torch: the two start side by side, pictures and pages do not share an interpreter, and what
ends that process costs one attempt at one picture. It is started again when the next picture is wanted.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

from engines.child import Child, how_it_ended
from engines.devices import Device, accelerator_possible, find_device
from engines.errors import Cancelled, ModelInvalid, ProcessLost, ServiceUnavailable
from engines.events import OnEvent, OnProgress, Preview, Progress, ignore
from engines.requests import ImageRequest
from engines.results import GeneratedImage, ImageModelInfo, ImageResult, Unused
from engines.sdxl.check import check_request
from engines.sdxl.info import read_info
from engines.sdxl.messages import DEVICE_LOST, Loaded, Made, Said, read

log = logging.getLogger(__name__)

POLL_SECONDS = 0.02
"""How often a cancel is looked for, beside every event."""

CANCEL_SECONDS = 10.0
"""What a cancelled picture's process gets to leave its step. A step of SDXL takes 0.1 s on a GPU; what takes longer
hangs, and the device is free sooner with another process."""

CAUSES = {
    -signal.SIGKILL: ", as where the machine's memory does not suffice",
    DEVICE_LOST: ", because the GPU reported an error that only another process recovers from",
}
"""What is known of an end, in the middle of a sentence."""


class SdxlProcess:
    """One model on one device. Thread-safe; one picture is made at a time."""

    def __init__(
        self,
        child: Child,
        start: Callable[[], Child],
        choose: Callable[[Device], str],
        models: Path,
        registry: Path,
        *,
        cancel_seconds: float = CANCEL_SECONDS,
        accelerated: Callable[[], bool] = accelerator_possible,
    ) -> None:
        """Begins to load at once where the device is known without torch, else when it is first asked for.

        `child`: a process that runs engines/sdxl/worker.py, `start`: gives another when that is lost. `choose`: the
        model for a device, as SdxlEngine takes it. `models` and `registry`: where models are kept, and which there are.
        Raises ModelInvalid for a studio.json that cannot be used.
        """
        self._start = start
        self._choose = choose
        self._models = models
        self._registry = registry
        self._cancel_seconds = cancel_seconds
        self._talking = threading.Lock()
        """Held by whoever talks with the process."""
        self._changing = threading.Lock()
        self._closed = False
        self._asked = self._loaded = False
        self._busy = False
        self._child = child
        self._model = ""
        self._info: ImageModelInfo | None = None
        self._device: Device | None = None
        if not accelerated():
            self._know(find_device("cpu"))

    @property
    def device(self) -> Device:
        """What pictures are made on. Waits for the process to have found it, where there may be a GPU, and then for a
        load: to be asked for before `load` is called. So is `info`."""
        if self._device is None:
            with self._talking:
                return self._known()[0]
        return self._device

    @property
    def info(self) -> ImageModelInfo:
        if self._info is None:
            with self._talking:
                return self._known()[1]
        return self._info

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.pid

    @property
    def busy(self) -> bool:
        """A picture was asked for, and how that ended has not been heard."""
        return self._busy

    def load(self, on_progress: OnProgress = ignore) -> None:
        """Raises ModelMissing, ModelInvalid, DownloadFailed, OutOfMemory, ServiceUnavailable."""
        with self._talking:
            try:
                self._load(on_progress, Event())
            except ProcessLost as lost:
                raise ModelInvalid(
                    f"The image model could not be loaded. {lost} Its files may be damaged: get it again."
                ) from lost

    def check(self, request: ImageRequest, photo: Path | None) -> tuple[Unused, ...]:
        return check_request(request, photo, self.info)

    def generate(self, request: ImageRequest, photo: Path | None, on_event: OnEvent, cancel: Event) -> ImageResult:
        """Make the pictures; loads first if that has not been done, or again after a process was lost.

        Raises what SdxlEngine raises, ProcessLost, and ServiceUnavailable once closed.
        """
        self.check(request, photo)
        with self._talking:
            self._load(ignore, cancel)
            fields = request.model_dump(mode="json", include=set(ImageRequest.model_fields))
            self._busy = True
            self._child.send({"do": "generate", "request": fields, "photo": None if photo is None else str(photo)})
            images: list[GeneratedImage] = []
            told_at: float | None = None
            try:
                while not isinstance(said := self._hear(), Made):
                    if isinstance(said, GeneratedImage):
                        images.append(said)
                    elif isinstance(said, Progress | Preview):
                        on_event(said)
                    if cancel.is_set():
                        told_at = self._cancel(told_at)
            except ProcessLost as lost:
                if cancel.is_set():
                    raise Cancelled from lost
                raise
            return ImageResult(tuple(images), said.seconds)

    def close(self) -> None:
        """End the process, whatever it is doing; who waits for it gets an error. Idempotent."""
        with self._changing:
            self._closed = True
        self._child.end()
        with self._talking:
            self._child.close()

    def _load(self, on_progress: OnProgress, cancel: Event) -> None:
        # Whoever left in the middle has left pictures on their way, which are not the next one's.
        if self._busy or not self._child.alive:
            self._replace()
        device, _ = self._known()
        if not self._asked:
            self._ask_to_load(device)
        while not self._loaded:
            try:
                said = self._hear()
            except Exception:
                self._asked = False
                raise
            if isinstance(said, Loaded):
                self._loaded = True
            elif isinstance(said, Progress):
                on_progress(said)
            elif said is None and cancel.is_set():
                # It goes on loading, for whoever comes next.
                raise Cancelled

    def _replace(self) -> None:
        with self._changing:
            self._check_open()
            self._child.end()
            self._child.close()
            self._asked = self._loaded = self._busy = False
            self._child = self._start()

    def _known(self) -> tuple[Device, ImageModelInfo]:
        while self._device is None or self._info is None:
            try:
                said = self._hear()
            except ProcessLost as lost:
                # Without a GPU the rest of the studio works; another process tells more when it is to load.
                self._know(replace(find_device("cpu"), note=f"no GPU could be looked for: {lost}"))
            else:
                if isinstance(said, Device):
                    self._know(said)
        return self._device, self._info

    def _know(self, device: Device) -> None:
        self._model = self._choose(device)
        self._info = read_info(self._model, device.name)
        self._device = device
        self._ask_to_load(device)

    def _ask_to_load(self, device: Device) -> None:
        self._asked = True
        self._child.send(
            {
                "do": "load",
                "model": self._model,
                "device": device.name,
                "models": str(self._models),
                "registry": str(self._registry),
            }
        )

    def _hear(self) -> Said | None:
        """What the process says next, None for nothing in a moment. Raises what it failed with, and ProcessLost."""
        try:
            message = self._child.receive(POLL_SECONDS)
            if message is not None:
                self._busy = self._busy and message.get("event") not in ("made", "failed")
                return read(message) if message else None
        except (KeyError, TypeError, ValueError) as error:
            log.error("the process for pictures said what cannot be understood (%s)", type(error).__name__)
        code = self._child.end()
        self._check_open()
        log.error("the process for pictures %s", how_it_ended(code))
        raise ProcessLost(
            f"The process that makes pictures {how_it_ended(code)} in the middle of its work"
            f"{CAUSES.get(code, '')}. If that happens again, choose a smaller size or fewer pictures at once."
        )

    def _cancel(self, told_at: float | None) -> float:
        """Tell the process to stop; one that was told too long ago is ended, and Cancelled raised."""
        now = time.monotonic()
        if told_at is None:
            self._child.send({"do": "cancel"})
            return now
        if now - told_at > self._cancel_seconds:
            log.error("the process for pictures did not stop within %g s and is ended", self._cancel_seconds)
            self._child.end()
            raise Cancelled
        return told_at

    def _check_open(self) -> None:
        if self._closed:
            raise ServiceUnavailable("The image engine is shutting down: try again in a moment.")
