"""The process that live sessions are children of: `python -m engines.speech.live_worker MODEL_FOLDER`.

It loads the model once and forks a child for each session, which shares the model's memory and whose crash costs this
session alone. Standard input is a Unix socket: this process sends one byte when the model is loaded, and gets one byte
with a session's own socket for each session. It has one thread, as a process that forks must, and ends with its parent,
and so does each child: their sockets close.

On a session's socket: in, a frame of one byte (SOUND or FLUSH), the length (4 bytes, big-endian) and that many bytes of
16 bit PCM at SAMPLE_RATE; out, for each frame a line of JSON: {"segments": [words of each], "partial": text}.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
from typing import IO, TYPE_CHECKING, Any

from engines.speech.audio import SAMPLE_RATE

if TYPE_CHECKING:
    import vosk

FRAME = struct.Struct(">cI")
SOUND, FLUSH = b"S", b"F"
READY = b"r"

BLOCK_BYTES = SAMPLE_RATE // 5 * 2
"""Vosk looks for the end of an utterance once a call: 0.2 s finds it in time."""


def main(model_folder: str) -> None:
    import vosk

    control = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    vosk.SetLogLevel(-1)
    model = vosk.Model(model_path=model_folder)
    # Nobody waits for the children: the system clears them away.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control.sendall(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            # Else a child that works on would hold the parent's end open.
            control.close()
            os.close(sys.stdin.fileno())
            _serve(model, socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])


def _serve(model: vosk.Model, connection: socket.socket) -> None:
    """One session, until its socket closes."""
    session = _Session(model)
    with connection, connection.makefile("rb") as frames, connection.makefile("wb") as answers:
        while header := frames.read(FRAME.size):
            kind, length = FRAME.unpack(header)
            sound = frames.read(length)
            if len(sound) < length:
                return
            answer = session.flush() if kind == FLUSH else session.accept(sound)
            _write(answers, answer)


def _write(answers: IO[bytes], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


class _Session:
    def __init__(self, model: vosk.Model) -> None:
        import vosk

        self._recognizer = vosk.KaldiRecognizer(model, SAMPLE_RATE)
        self._recognizer.SetWords(True)
        # Vosk gives word confidences only without alternatives.
        self._recognizer.SetMaxAlternatives(0)

    def accept(self, sound: bytes) -> dict[str, Any]:
        segments = []
        for start in range(0, len(sound), BLOCK_BYTES):
            if self._recognizer.AcceptWaveform(sound[start : start + BLOCK_BYTES]):
                segments.append(json.loads(self._recognizer.Result()).get("result", []))
        # Without the key before the first sound and just after a result.
        return {"segments": segments, "partial": json.loads(self._recognizer.PartialResult()).get("partial", "")}

    def flush(self) -> dict[str, Any]:
        return {"segments": [json.loads(self._recognizer.FinalResult()).get("result", [])], "partial": ""}


if __name__ == "__main__":
    main(sys.argv[1])
