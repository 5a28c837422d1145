"""The parent's handle on one worker process: start, give it a file, cancel, notice that it died or hangs, end it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from engines.errors import Cancelled, EngineCrashed, InvalidMedia, ModelInvalid

POLL_SECONDS = 0.05
"""How often a waiting caller looks at its cancel event."""

CANCEL_GRACE_SECONDS = 0.5
"""A worker that has not let go of a cancelled file after this time is killed."""

KEPT_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR")
"""All that a worker gets: tokens and keys of this process do not belong where strangers' files are parsed."""

Message = dict[str, Any]


class NotBegun(EngineCrashed):
    """The process died before it said anything about the file that it was given."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a worker may be silent, seconds. A large model takes minutes to load from a slow disk."""

    load: float = 300.0
    stall: float = 60.0


class Worker:
    """One process with one loaded model. Used by one caller at a time."""

    def __init__(self, model_folder: Path, timeouts: Timeouts) -> None:
        self.files = 0
        self._between_files = True
        self._ready = False
        self._timeouts = timeouts
        self._ids = itertools.count(1)
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "engines.speech.worker", str(model_folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(),
            # Ctrl-C in a terminal goes to the whole group, and would take the workers from under a draining server.
            start_new_session=True,
        )
        self._started = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True, name=f"speech-worker-{self._process.pid}")
        self._reader.start()

    @property
    def usable(self) -> bool:
        """False when the process is gone, or was left in the middle of a file or of a load that took too long."""
        return self._between_files and self._process.poll() is None

    def wait_ready(self, cancel: Event) -> None:
        """Wait for the model to be loaded. Raises ModelInvalid when it cannot be, and Cancelled."""
        if self._ready:
            return
        while True:
            if cancel.is_set():
                raise Cancelled
            message = self._next(POLL_SECONDS)
            if message is None:
                raise ModelInvalid(
                    f"The speech model could not be loaded: its process {self._how_it_ended()}. Its files may be "
                    "damaged or too large for this machine's memory: fetch it again, or choose a smaller one."
                )
            if message.get("event") == "ready":
                self._ready = True
                return
            if time.monotonic() - self._started > self._timeouts.load:
                self._between_files = False
                raise ModelInvalid(
                    f"The speech model was not loaded within {self._timeouts.load:g} s: choose a smaller one."
                )

    def run(self, path: Path, max_seconds: float, on_message: Callable[[Message], None], cancel: Event) -> Message:
        """Work on one file and return the "done" message; "progress" and "segment" go to `on_message`.

        Raises InvalidMedia, Cancelled, EngineCrashed (NotBegun where a second try is worth while).
        """
        self._between_files = False
        self.files += 1
        job = next(self._ids)
        self._send({"id": job, "path": str(path), "max_seconds": max_seconds})
        heard = time.monotonic()
        begun = False
        cancelled_at: float | None = None
        while True:
            message = self._next(POLL_SECONDS)
            now = time.monotonic()
            if cancel.is_set() and cancelled_at is None:
                cancelled_at = now
                self._send({"cancel": job})
            if cancelled_at is not None and now - cancelled_at > CANCEL_GRACE_SECONDS:
                raise Cancelled
            if message is None:
                lost = EngineCrashed if begun else NotBegun
                raise lost(
                    f"The speech engine's process {self._how_it_ended()} while it worked on this file; nothing else is "
                    "lost. Try again; if it happens again, the file itself is the cause: save it in another format."
                )
            if not message:
                if now - heard > self._timeouts.stall:
                    raise EngineCrashed(
                        f"The speech engine made no progress on this file for {self._timeouts.stall:g} s and was "
                        "ended. Try again, or save the file in another format."
                    )
                continue
            heard, begun = now, True
            event = message["event"]
            if event in ("progress", "segment"):
                on_message(message)
                continue
            self._between_files = True
            if cancelled_at is not None or event == "cancelled":
                raise Cancelled
            if event == "failed":
                raise InvalidMedia(message["field"], message["message"])
            return message

    def end(self) -> None:
        """End the process, whatever it is doing, and collect it. Safe to call twice and from another thread."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdin:
            # What the process did not read any more is lost with it.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def _send(self, message: Message) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            # The process is gone; the reader says so in its own order, after what it still wrote.
            return

    def _next(self, timeout: float) -> Message | None:
        """The next message, {} when none came in time, None when the process has ended."""
        try:
            return self._messages.get(timeout=timeout)
        except queue.Empty:
            return {}

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                # A process that is killed while it writes leaves half a line.
                if line.endswith(b"\n"):
                    self._messages.put(json.loads(line))
        self._messages.put(None)

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        return f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"


def worker_environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    # The package is found wherever the parent was started from; vosk looks up the home folder on import.
    root = str(Path(__file__).parents[2])
    # One recogniser uses one core; more threads inside the linear algebra only get in each other's way.
    return {"HOME": os.sep, **kept, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
