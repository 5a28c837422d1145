"""Models that a person gets from the page: fetched on threads, paused and gone on with, and put to use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from engines.errors import Cancelled, InvalidRequest, ModelMissing, StudioError
from engines.events import Progress
from engines.weights.download import Patience
from engines.weights.registry import Model
from engines.weights.store import Installed, ModelStore

log = logging.getLogger(__name__)

JOIN_SECONDS = 2.0
"""For what is being fetched when the server stops. What has arrived is kept in every case."""


class DownloadState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Download:
    """One that was asked for since the start. `problem` says in a sentence why it failed."""

    name: str
    state: DownloadState = DownloadState.RUNNING
    progress: Progress | None = None
    """How far the stage is: download and unpack in bytes."""
    problem: str = ""


@dataclass(slots=True)
class _Running:
    thread: threading.Thread
    pause: threading.Event = field(default_factory=threading.Event)


class Downloads:
    """Thread-safe. What it fetches is what `launch.py models pull` fetches, to the same place, with the same checks."""

    def __init__(
        self, store: ModelStore, *, use: Callable[[Model, Path], None] = lambda *_: None, advice: str = ""
    ) -> None:
        """`use`: called with a speech model that has arrived; raises StudioError. `advice`: what is to be done for an
        image model to be used, which takes a new start."""
        self.store = store
        self.advice = advice
        self._use = use
        self._lock = threading.Lock()
        self._known: dict[str, Download] = {}
        self._running: dict[str, _Running] = {}

    def known(self) -> dict[str, Download]:
        """What was asked for since the start, by name."""
        with self._lock:
            return dict(self._known)

    def offered(self, *kinds: str) -> list[Installed]:
        """The models of these kinds (image, speech) that can be fetched, and how each is here. Reads the disk."""
        names = {model.name for model in self.store.registry.models if model.kind in kinds and model.source}
        return [model for model in self.store.list() if model.name in names]

    def bytes_of(self, name: str) -> int:
        """About what getting a model fetches, with all that it needs."""
        registry = self.store.registry
        return sum(registry.find(wanted).download_bytes for wanted in registry.with_needs(name))

    def start(self, name: str) -> None:
        """Begin, or go on. Returns at once. Raises InvalidRequest for what is not offered."""
        try:
            model = self.store.registry.find(name)
        except ModelMissing as error:
            raise InvalidRequest("model", str(error)) from error
        # A hub id would be one that is not in the registry: launch.py models pull takes those, with a person who reads.
        if model.source is None or model not in self.store.registry.models:
            raise InvalidRequest("model", f"{name[:80]} is not offered here.")
        with self._lock:
            if model.name in self._running:
                return
            running = _Running(threading.Thread(target=self._fetch, args=(model,), name=f"get-{name}", daemon=True))
            self._running[model.name] = running
            self._known[model.name] = Download(model.name)
            running.thread.start()

    def pause(self, name: str) -> None:
        """Stop soon, keeping what has arrived. Nothing happens to what is not being fetched."""
        with self._lock:
            if name in self._running:
                self._running[name].pause.set()

    def close(self) -> None:
        """Pause everything."""
        with self._lock:
            threads = list(self._running.values())
        for running in threads:
            running.pause.set()
        for running in threads:
            running.thread.join(JOIN_SECONDS)

    def _fetch(self, model: Model) -> None:
        with self._lock:
            pause = self._running[model.name].pause
        state, problem = DownloadState.DONE, ""
        try:
            folder = self._pull(model, pause)
            if model.kind == "speech":
                self._use(model, folder)
        except Cancelled:
            state = DownloadState.PAUSED
        except StudioError as error:
            state, problem = DownloadState.FAILED, str(error)
        except Exception:
            # The thread's end must be told in every case.
            log.exception("the model %s could not be fetched", model.name)
            state, problem = DownloadState.FAILED, "Something went wrong. The server's log tells more."
        with self._lock:
            del self._running[model.name]
            self._known[model.name] = replace(self._known[model.name], state=state, problem=problem)

    def _pull(self, model: Model, pause: threading.Event) -> Path:
        def go_on() -> None:
            if pause.is_set():
                raise Cancelled

        def told(progress: Progress) -> None:
            go_on()
            with self._lock:
                self._known[model.name] = replace(self._known[model.name], progress=progress)

        def sleep(seconds: float) -> None:
            pause.wait(seconds)
            go_on()

        usual = self.store.patience
        patience = Patience(usual.attempts, usual.first_pause, usual.longest_pause, sleep)
        store = replace(self.store, patience=patience)
        first, *needs = store.registry.with_needs(model.name)
        folder = store.pull(first, told)
        for name in needs:
            store.pull(name, told)
        return folder
