"""The parent's side of live sessions: one process that holds the model, and a handle on each of its children."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

from engines.errors import Cancelled, EngineCrashed, ModelInvalid, ServiceUnavailable
from engines.requests import ListenRequest
from engines.results import Heard
from engines.speech.audio import SAMPLE_RATE
from engines.speech.live_worker import FLUSH, FRAME, SOUND
from engines.speech.process import POLL_SECONDS, Timeouts, worker_environment
from engines.speech.recording import BYTES_PER_SAMPLE
from engines.speech.segments import UNKNOWN_WORD, read_segment
from engines.speech.stream import Resampler


class LiveProcess:
    """Started with the first session, and again when it has died. Thread-safe."""

    def __init__(self, model_folder: Path, timeouts: Timeouts) -> None:
        self._folder = model_folder
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = False

    def open(self, request: ListenRequest, cancel: Event) -> VoskSession:
        """A session in a child of its own. Raises as SpeechEngine.listen does."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                with self._lock:
                    control = self._ready(cancel)
                    socket.send_fds(control, [b"s"], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise EngineCrashed("The speech engine's process ended just now: try again.") from error
            except BaseException:
                ours.close()
                raise
        return VoskSession(ours, request.sample_rate, cancel, self._timeouts.stall)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._end()

    def _ready(self, cancel: Event) -> socket.socket:
        if self._closed:
            raise ServiceUnavailable("The speech engine is shutting down: try again in a moment.")
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._start(cancel)
        assert self._control is not None
        return self._control

    def _start(self, cancel: Event) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "engines.speech.live_worker", str(self._folder)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=worker_environment(),
                start_new_session=True,
            )
        try:
            said = next(_polled(self._control, 1, cancel, self._timeouts.load), b"")
        except TimeoutError as error:
            self._end()
            told = f"The speech model was not loaded within {self._timeouts.load:g} s: choose a smaller one."
            raise ModelInvalid(told) from error
        except Cancelled:
            # Half loaded: the next session starts it again.
            self._end()
            raise
        if not said:
            self._end()
            raise ModelInvalid(
                "The speech model could not be loaded: its process ended. Its files may be damaged or too large for "
                "this machine's memory: fetch it again, or choose a smaller one."
            )

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._control = None


class VoskSession:
    """A LiveSession: its child answers each frame with a line."""

    def __init__(self, connection: socket.socket, sample_rate: int, cancel: Event, stall_seconds: float) -> None:
        self._connection = connection
        self._resampler = Resampler(sample_rate)
        self._cancel = cancel
        self._stall_seconds = stall_seconds
        self._bytes = 0
        self._unread = b""

    def accept(self, sound: bytes) -> Heard:
        return self._heard(SOUND, self._resampler.resampled(sound))

    def flush(self) -> Heard:
        # What the filter still holds is the end of the last word.
        first = self._heard(SOUND, self._resampler.flush())
        last = self._heard(FLUSH, b"")
        return Heard((*first.segments, *last.segments), "", last.seconds)

    def close(self) -> None:
        self._connection.close()

    def _heard(self, kind: bytes, sound: bytes) -> Heard:
        self._bytes += len(sound)
        answer = self._ask(FRAME.pack(kind, len(sound)) + sound)
        segments = tuple(filter(None, map(read_segment, answer["segments"])))
        partial = " ".join(word for word in answer["partial"].split() if word != UNKNOWN_WORD)
        return Heard(segments, partial, self._bytes / BYTES_PER_SAMPLE / SAMPLE_RATE)

    def _ask(self, frame: bytes) -> dict[str, Any]:
        lost = "The speech engine's process ended in the middle of this session: begin a new one."
        try:
            self._connection.settimeout(self._stall_seconds)
            self._connection.sendall(frame)
            for some in _polled(self._connection, 65_536, self._cancel, self._stall_seconds):
                self._unread += some
                line, end, rest = self._unread.partition(b"\n")
                if end:
                    self._unread = rest
                    answer: dict[str, Any] = json.loads(line)
                    return answer
        except TimeoutError as error:
            told = f"The speech engine made no progress for {self._stall_seconds:g} s: begin a new session."
            raise EngineCrashed(told) from error
        except OSError as error:
            raise EngineCrashed(lost) from error
        raise EngineCrashed(lost)


def _polled(connection: socket.socket, size: int, cancel: Event, seconds: float) -> Iterator[bytes]:
    """What comes, until the other end closes. Raises Cancelled; TimeoutError when nothing came for `seconds`."""
    connection.settimeout(POLL_SECONDS)
    latest = time.monotonic() + seconds
    while True:
        if cancel.is_set():
            raise Cancelled
        try:
            some = connection.recv(size)
        except TimeoutError:
            if time.monotonic() > latest:
                raise
            continue
        if not some:
            return
        latest = time.monotonic() + seconds
        yield some
