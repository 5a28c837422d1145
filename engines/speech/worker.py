"""The child process that decodes and recognises: `python -m engines.speech.worker MODEL_FOLDER`.

Both ffmpeg and Vosk are native code that reads what strangers send, so a crash or a hang happens here, where it costs
one request. The protocol is one JSON object a line. In: {"id", "path", "max_seconds"} or {"cancel": id}. Out: {"event":
"ready"}, then for each job any number of "progress" and "segment" and one of "done", "failed", "cancelled".
When the pipe to the parent closes, the parent is gone and this process ends at once, even in the middle of a file.
"""

from __future__ import annotations

import json
import math
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import vosk

from engines.errors import InvalidMedia
from engines.speech.audio import AudioReader, open_audio
from engines.speech.mono import SAMPLE_RATE

PROGRESS_SECONDS = 0.2
"""Least time between two progress lines; the parent also takes them as a sign of life."""


class Inbox:
    """Jobs and cancellations, read by a thread of their own so that they arrive while native code runs."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._read, args=(stream,), daemon=True, name="inbox").start()

    def cancelled(self, job_id: int) -> bool:
        return job_id in self._cancelled

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            message = json.loads(line)
            if "cancel" in message:
                self._cancelled.add(message["cancel"])
            else:
                self.jobs.put(message)
        # Not sys.exit: that would end this thread only, and wait for a recogniser that may never return.
        os._exit(0)


class Outbox:
    """Writes messages to the parent."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def send(self, event: str, **fields: Any) -> None:
        self._stream.write(json.dumps({"event": event, **fields}).encode() + b"\n")
        self._stream.flush()


def main(model_folder: str) -> None:
    outbox = Outbox(_claim_stdout())
    inbox = Inbox(sys.stdin.buffer)
    vosk.SetLogLevel(-1)
    model = vosk.Model(model_path=model_folder)
    outbox.send("ready")
    while True:
        job = inbox.jobs.get()
        try:
            with open_audio(Path(job["path"])) as audio:
                _recognise(model, audio, job, inbox, outbox)
        except InvalidMedia as error:
            outbox.send("failed", field=error.field, message=str(error))


def _recognise(model: vosk.Model, audio: AudioReader, job: dict[str, Any], inbox: Inbox, outbox: Outbox) -> None:
    recognizer = vosk.KaldiRecognizer(model, SAMPLE_RATE)
    recognizer.SetWords(True)
    # Vosk gives word confidences only without alternatives.
    recognizer.SetMaxAlternatives(0)
    # The first block is reported at once: so the length of the file is known from the start.
    reported = -math.inf
    for block in audio.blocks(job["max_seconds"]):
        if inbox.cancelled(job["id"]):
            outbox.send("cancelled")
            return
        if recognizer.AcceptWaveform(block):
            _send_segment(recognizer.Result(), outbox)
        if time.monotonic() - reported >= PROGRESS_SECONDS:
            reported = time.monotonic()
            outbox.send("progress", seconds=audio.seconds, estimate=audio.estimate)
    _send_segment(recognizer.FinalResult(), outbox)
    outbox.send("done", duration=audio.seconds, notes=audio.notes)


def _send_segment(result: str, outbox: Outbox) -> None:
    words = json.loads(result).get("result")
    if words:
        outbox.send("segment", words=words)


def _claim_stdout() -> IO[bytes]:
    """Take standard output for the protocol alone: native code that prints must not get between two messages."""
    private = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(private, "wb")


if __name__ == "__main__":
    main(sys.argv[1])
