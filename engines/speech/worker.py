"""The model's process: `python -m engines.speech.worker MODEL_FOLDER`, with a Unix socket as standard input.

It loads the model once, and then forks a child for each task, which shares the model's memory. Both ffmpeg and Vosk are
native code that reads what strangers send: a crash, a hang or a leak so costs one task. This process has one thread
(what makes the fork safe) and touches no recording itself.

On standard input (see wire.py), in: {"id", "task": {...}} with a socket for the child, {"end": id}. Out: {"event":
"ready"}, {"event": "ended", "id", "status"} as os.waitpid tells it. When it closes, the studio is gone and all end.

Tasks, each over its own socket:
  {"kind": "read", "path", "max_seconds", "ahead"}: cut the file into pieces. Out: "piece" (start, samples, seconds,
    estimate) with a file of sound, at most `ahead` before a {"more": 1} came for each; then "done" (duration, notes)
    or "failed" (field, message).
  {"kind": "recognise"}: in, any number of times: {} with a file of sound. Out for each: "progress" (seconds) and
    "segment" (words), then "done".
  {"kind": "live"}: in, frames of a length (4 bytes, little-endian) and so many bytes of sound; 0 settles what is open.
    Out, for each: "heard" (segments: the words of each utterance that has ended, partial: the text of the open one).
Sound is 16 kHz mono int16 everywhere; words have word, start, end (seconds from the sound's own beginning), conf.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import vosk

from engines.errors import InvalidMedia
from engines.speech.audio import BLOCK_BYTES, open_audio
from engines.speech.mono import SAMPLE_RATE
from engines.speech.pieces import cut
from engines.speech.wire import FILE_MARK, Channel, Message, file_of

PROGRESS_SECONDS = 0.2
"""Least time between two progress lines; the studio also takes them as a sign of life."""

NICE = 5
"""Files give way to live sessions, whose speakers are waiting."""

PR_SET_PDEATHSIG = 1


def main(model_folder: str) -> None:
    # Native code that prints must not get between two messages.
    control = socket.socket(fileno=os.dup(0))
    vosk.SetLogLevel(-1)
    model = vosk.Model(model_path=model_folder)
    # Made once, because it takes a tenth of a second; each child has it as new.
    recognizer = vosk.KaldiRecognizer(model, SAMPLE_RATE)
    recognizer.SetWords(True)
    # Vosk gives word confidences only without alternatives.
    recognizer.SetMaxAlternatives(0)
    Server(control, recognizer).run()


class Server:
    """Forks a child for each task and tells how it ended."""

    def __init__(self, control: socket.socket, recognizer: vosk.KaldiRecognizer) -> None:
        self._control = control
        self._channel = Channel(control)
        self._recognizer = recognizer
        self._children: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def run(self) -> None:
        # A handler has to be there for the wakeup to be written.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        with contextlib.suppress(OSError):
            self._channel.send({"event": "ready"})
            while True:
                ready, _, _ = select.select([self._control.fileno(), self._woken], [], [])
                if self._woken in ready:
                    os.read(self._woken, 4096)
                    self._collect()
                # One select may stand for several messages that came in one read.
                while self._control.fileno() in ready and (message := self._channel.receive(timeout=0.001)) != {}:
                    if message is None:
                        return self._end()
                    self._obey(message)
        return self._end()

    def _obey(self, message: Message) -> None:
        if "task" not in message:
            for pid in [pid for pid, task in self._children.items() if task == message["end"]]:
                os.kill(pid, signal.SIGKILL)
            return
        descriptor: int = message[FILE_MARK]
        pid = os.fork()
        if pid:
            os.close(descriptor)
            self._children[pid] = message["id"]
            return
        status = 1
        try:
            self._become_child()
            work(message["task"], self._recognizer, socket.socket(fileno=descriptor))
            status = 0
        except OSError:
            # The studio let go of this task, or is gone.
            status = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the child ends here
            # Its text and its traceback may hold what somebody said.
            sys.stderr.write(f"A speech task failed: {type(error).__name__}\n")
        finally:
            os._exit(status)

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(self._woken)
        os.close(self._wake)
        # Not shut down, as Channel.close would: it is the parent's too.
        self._control.close()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)

    def _collect(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            self._channel.send({"event": "ended", "id": self._children.pop(pid), "status": code})

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        # Not sys.exit: nothing is left to clean up, and a large model takes its time to be freed.
        os._exit(0)


def work(task: Message, recognizer: vosk.KaldiRecognizer, end: socket.socket) -> None:
    """Do one task to its end. Raises OSError when the other side of the socket is gone."""
    if task["kind"] == "live":
        recognise_live(recognizer, end)
        return
    os.nice(NICE)
    if task["kind"] == "read":
        read(task, Channel(end))
    else:
        recognise(recognizer, Channel(end))


def read(task: Message, channel: Channel) -> None:
    """Decode a file and cut it into pieces."""
    ahead: int = task["ahead"]
    try:
        with open_audio(Path(task["path"])) as audio:
            for piece in cut(audio.blocks(task["max_seconds"])):
                with file_of([piece.sound]) as file:
                    about = {"start": piece.start, "samples": len(piece.sound) // 2}
                    channel.send({"event": "piece", **about, "estimate": audio.estimate}, file.fileno())
                ahead -= 1
                while ahead <= 0:
                    if channel.receive() is None:
                        return
                    ahead += 1
            channel.send({"event": "done", "duration": audio.seconds, "notes": audio.notes})
    except InvalidMedia as error:
        channel.send({"event": "failed", "field": error.field, "message": str(error)})


def recognise(recognizer: vosk.KaldiRecognizer, channel: Channel) -> None:
    """Piece after piece: what the recogniser has unfolded of its graph makes the next one faster by a tenth."""
    origin = 0
    while message := channel.receive():
        file = message[FILE_MARK]
        # At once for the first: so the length of a file is known from the start.
        reported = -math.inf
        at = 0
        while block := os.pread(file, BLOCK_BYTES, at):
            at += len(block)
            if recognizer.AcceptWaveform(block):
                _send_words(recognizer.Result(), origin, channel)
            if time.monotonic() - reported >= PROGRESS_SECONDS:
                reported = time.monotonic()
                channel.send({"event": "progress", "seconds": at / 2 / SAMPLE_RATE})
        _send_words(recognizer.FinalResult(), origin, channel)
        os.close(file)
        # A recogniser that goes on after its end counts on: these are the seconds that it has heard before.
        origin += at // 2
        channel.send({"event": "done"})


def recognise_live(recognizer: vosk.KaldiRecognizer, end: socket.socket) -> None:
    """One speaker, for as long as it takes."""
    channel = Channel(end)
    for sound in _frames(end):
        ended = []
        for at in range(0, len(sound), BLOCK_BYTES):
            if recognizer.AcceptWaveform(sound[at : at + BLOCK_BYTES]):
                ended.append(recognizer.Result())
        if not sound:
            ended.append(recognizer.FinalResult())
        # There is none before the first sound and just after a result.
        partial: str = json.loads(recognizer.PartialResult()).get("partial", "")
        segments = [json.loads(result).get("result", []) for result in ended]
        channel.send({"event": "heard", "segments": segments, "partial": partial})


def _frames(end: socket.socket) -> Iterator[bytes]:
    # Ends as `_exactly` does, when the studio hangs up.
    while True:
        yield _exactly(end.recv, int.from_bytes(_exactly(end.recv, 4), "little"))


def _exactly(receive: Callable[[int], bytes], size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = receive(size - len(data))
        if not part:
            raise BrokenPipeError
        data += part
    return bytes(data)


def _send_words(result: str, origin: int, channel: Channel) -> None:
    words: list[dict[str, Any]] = json.loads(result).get("result", [])
    if words:
        before = origin / SAMPLE_RATE
        shifted = [{**word, "start": word["start"] - before, "end": word["end"] - before} for word in words]
        channel.send({"event": "segment", "words": shifted})


if __name__ == "__main__":
    main(sys.argv[1])
