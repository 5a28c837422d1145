"""The studio's handle on a model's process and on the children that it forks: start, talk, notice an end, end it.

What a task says on its socket is described in worker.py. A task is used by one thread (a live one by two: one that
sends, one that receives).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event
from typing import Any

from engines.child import how_it_ended, spawn
from engines.errors import Cancelled, EngineCrashed, ModelInvalid, ServiceUnavailable
from engines.speech.cores import POLL_SECONDS
from engines.wire import FILE_MARK, Channel, Message, way_to_work

KEPT_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "GLIBC_TUNABLES", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR")
"""All that a worker gets: tokens and keys of this process do not belong where strangers' files are parsed."""

MALLOC = "glibc.malloc.mxfast=0:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=1073741824"
"""How GNU's C library keeps memory that a recogniser lets go of. Joining small pieces, and giving large ones back to
the system that are wanted again at once, takes a twentieth of all computing. A task's process ends with it, so nothing
is kept for long."""

LAST_WORD_SECONDS = 1.0
"""How long after a task's socket closed the model's process may take to say how its child ended."""

VOSK_WORKER = "engines.speech.worker"

SHUT_DOWN = "The speech engine was shut down while it worked on this file."


class TaskLost(EngineCrashed):
    """A task's process died or hung. The text is the end of a sentence about it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a process may be silent, seconds. A large model takes minutes to load from a slow disk."""

    load: float = 300.0
    stall: float = 60.0


class ModelProcess:
    """One process with one loaded model, which works by children. Thread-safe."""

    def __init__(
        self, model_folder: Path, timeouts: Timeouts, platform: str = sys.platform, worker: str = VOSK_WORKER
    ) -> None:
        """`worker`: the module that it runs."""
        self._timeouts = timeouts
        self._ids = itertools.count(1)
        self._sending = threading.Lock()
        self._changed = Condition()
        self._ready = False
        self._refusal = ""
        self._gone = False
        self._tasks: dict[int, Task] = {}
        arguments = (str(model_folder), way_to_work(platform))
        self._process, ours = spawn(worker, *arguments, environment=_environment())
        self._control = Channel(ours)
        self._started = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True, name=f"speech-model-{self._process.pid}")
        self._reader.start()

    @property
    def usable(self) -> bool:
        """False when the process is gone."""
        return not self._gone and self._process.poll() is None

    def wait_ready(self, cancel: Event) -> None:
        """Wait for the model to be loaded. Raises ModelInvalid when it cannot be, and Cancelled."""
        with self._changed:
            while not self._ready:
                if cancel.is_set():
                    raise Cancelled
                if self._refusal:
                    raise ModelInvalid(self._refusal)
                if self._gone:
                    ended = how_it_ended(self._process.wait())
                    raise ModelInvalid(
                        f"The speech model could not be loaded: its process {ended}. Its files may be damaged or too "
                        "large for this machine's memory: fetch it again, or choose a smaller one."
                    )
                if time.monotonic() - self._started > self._timeouts.load:
                    self._process.kill()
                    raise ModelInvalid(
                        f"The speech model was not loaded within {self._timeouts.load:g} s: choose a smaller one."
                    )
                self._changed.wait(POLL_SECONDS)

    @contextlib.contextmanager
    def begin(self, **task: Any) -> Iterator[Task]:
        """Fork a child for `task` for the time of the block; afterwards it is gone, whatever it was doing."""
        ours, theirs = socket.socketpair()
        begun = Task(Channel(ours), ours, self._timeouts.stall)
        number = next(self._ids)
        with self._changed:
            self._tasks[number] = begun
        try:
            with theirs:
                self._send({"id": number, "task": task}, theirs.fileno())
            if not self.usable:
                begun.ended(None)
            yield begun
        finally:
            begun.close()
            if begun.status is None:
                self._send({"end": number})

    def end(self) -> None:
        """End the process and its children, whatever they are doing. Safe to call twice and from another thread."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _send(self, message: Message, file: int | None = None) -> None:
        # Where the process is gone, the reader tells everybody.
        with self._sending, contextlib.suppress(OSError):
            self._control.send(message, file)

    def _read(self) -> None:
        while (message := self._control.receive()) is not None:
            with self._changed:
                if message["event"] == "ready":
                    self._ready = True
                elif message["event"] == "refused":
                    self._refusal = message["message"]
                elif task := self._tasks.pop(message["id"], None):
                    task.ended(message["status"])
                self._changed.notify_all()
        code = self._process.wait()
        with self._changed:
            self._gone = True
            for task in self._tasks.values():
                task.ended(code)
                # Children end with their parent; where the system does not see to it, they end with their socket.
                task.hang_up()
            self._changed.notify_all()
        with self._sending:
            self._control.close()


class Task:
    """A child at work."""

    def __init__(self, channel: Channel, end: socket.socket, stall: float) -> None:
        self._channel = channel
        self._end = end
        self._stall = stall
        self._over = Event()
        self.status: int | None = None
        """What os.waitpid told: 0, a status, or minus a signal's number. None while it lives."""

    def send(self, message: Message, file: int | None = None) -> None:
        """A child that is gone does not hear it; `messages` tells of that."""
        with contextlib.suppress(OSError):
            self._channel.send(message, file)

    def send_bytes(self, data: bytes) -> None:
        """Waits while the child is behind. Raises TaskLost when it is gone."""
        try:
            self._end.sendall(data)
        except OSError as error:
            raise TaskLost(f"its process {self._how_it_ended()}") from error

    def messages(self, cancel: Event, awaited: Callable[[], bool] = lambda: True) -> Iterator[Message]:
        """What the child says, until "done" or "failed", which come last.

        `awaited`: False while the child has reason to be silent. Raises Cancelled, and TaskLost for a child that died,
        or was silent for too long.
        """
        heard = time.monotonic()
        while True:
            message = self._channel.receive(POLL_SECONDS)
            if cancel.is_set():
                if message and FILE_MARK in message:
                    os.close(message[FILE_MARK])
                raise Cancelled
            if message is None:
                raise TaskLost(f"its process {self._how_it_ended()}")
            if message:
                yield message
                if message["event"] in ("done", "failed"):
                    return
            if message or not awaited():
                heard = time.monotonic()
            elif time.monotonic() - heard > self._stall:
                raise TaskLost(f"it made no progress for {self._stall:g} s and was ended")

    def ended(self, status: int | None) -> None:
        """Told by the model's process."""
        self.status = status
        self._over.set()

    def hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._channel.close()

    def _how_it_ended(self) -> str:
        self._over.wait(LAST_WORD_SECONDS)
        return "was lost" if self.status is None else how_it_ended(self.status)


class Models:
    """The model's process, started when first needed and again when it died. Thread-safe."""

    def __init__(self, start: Callable[[], ModelProcess]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._process: ModelProcess | None = None
        self._closed = False

    def get(self, cancel: Event) -> ModelProcess:
        """The ready process. Raises Cancelled, ModelInvalid, and ServiceUnavailable once closed."""
        if cancel.is_set():
            raise Cancelled
        with self._lock:
            if self._closed:
                raise ServiceUnavailable("The speech engine is shutting down: try again in a moment.")
            if self._process is None or not self._process.usable:
                # It died between two files (killed for memory, say): nobody's request is lost.
                if self._process:
                    self._process.end()
                self._process = self._start()
            process = self._process
        try:
            process.wait_ready(cancel)
        except ModelInvalid as error:
            self.check_open(error)
            raise
        return process

    def check_open(self, cause: Exception) -> None:
        """Raise ServiceUnavailable if what went wrong did so because of `close`."""
        if self._closed:
            raise ServiceUnavailable(SHUT_DOWN) from cause

    def close(self) -> None:
        """End the process; callers in the middle of a file get an error. Idempotent."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process:
            process.end()


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    # Vosk looks up the home folder on import. One recogniser uses one core; more threads inside the linear algebra only
    # get in each other's way.
    # Newer packages of ONNX Runtime than the pinned one report each use to their maker, unless they are told not to.
    return {"HOME": os.sep, "GLIBC_TUNABLES": MALLOC, **kept, "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
