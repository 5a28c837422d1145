"""The model's process: `python -m engines.speech.worker MODEL_FOLDER fork|threads`, with a Unix socket for its input.

It loads the model once, and then forks a child for each task, which shares the model's memory. Both ffmpeg and Vosk are
native code that reads what strangers send: a crash, a hang or a leak so costs one task. This process has one thread
(what makes the fork safe) and touches no recording itself.

With `threads` it forks nothing, and each task is a thread with a recogniser of its own: a crash then costs all that
run, and a hang stays until the process ends. That is for macOS, whose own libraries abort in a child that was forked.

On standard input (see wire.py), in: {"id", "task": {...}} with a socket for the child, {"end": id}. Out: {"event":
"ready"}, {"event": "ended", "id", "status"} as os.waitpid tells it. When it closes, the studio is gone and all end.

Tasks, each over its own socket:
  {"kind": "read", "path", "max_seconds", "ahead", "lengths", "recognisers"}: cut the file as pieces.cut does. Out:
    "piece" (start, samples, lead, estimate) with a file of sound, at most `ahead` before a {"more": 1} came for each;
    then "done" (duration, notes) or "failed" (field, message).
  {"kind": "recognise", "grammar", "speakers"}: in, any number of times: {"lead", "begin"} with a file of sound, whose
    first `lead` samples are before the piece; heard is what comes from the sample `begin` on. Out for each: "progress"
    (seconds) and "segment" (words; with a speaker model also voice, its x-vector, and frames, of how many), now and
    then "turn", which waits for {} before it goes on, and "done". All seconds are from the piece's beginning.
    "grammar": all phrases to listen for, empty for the model's own; "speakers": a speaker model's folder.
  {"kind": "live", "grammar"}: in, frames of a length (4 bytes, little-endian) and so many bytes of sound; 0 settles
    what is open. Out, for each: "heard" (segments: the words of each utterance that has ended, partial: the text of
    the open one).
Sound is 16 kHz mono int16 everywhere; words have word, start, end (seconds from the sound's own beginning), conf.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import vosk

from engines.speech.audio import BLOCK_BYTES
from engines.speech.mono import SAMPLE_RATE
from engines.speech.ngram import with_fast_graph
from engines.speech.pieces import FRAME
from engines.speech.tasks import Server, frames, read, serve_by_threads
from engines.speech.warm_up import needs_warm_up, warm_up
from engines.wire import FILE_MARK, THREADS, Channel, Message

PROGRESS_SECONDS = 0.2
"""Least time between two progress lines; the studio also takes them as a sign of life."""


RECOGNISE_NICE = 19
"""The recognisers of files take what live sessions leave: with ten of these on two cores a file takes as long as with
5, and the speakers wait half of the time or less (bench/live_beside_file.py). They can give way so far because they
tell of each fifth of a second of sound, which takes some hundredths: none is taken for stuck."""

TURN_BYTES = 2 * 40 * SAMPLE_RATE
"""Sound after which another file may have the core: 40 s, a usual piece."""

SETTLING = bytes(2 * 17 * FRAME)
"""Half a second of silence behind each piece, in which its last word is told: so long sound may take to become words.

A recogniser that is told of the sound's end needs none, but forgets the voice that it has got used to. With Vosk's
small Korean model that cost 0.8 in 100 characters of long recordings (bench/speech_words.py)."""


def main(model_folder: str, way: str) -> None:
    # Native code that prints must not get between two messages.
    control = socket.socket(fileno=os.dup(0))
    vosk.SetLogLevel(-1)
    with with_fast_graph(Path(model_folder)) as folder:
        model = vosk.Model(model_path=str(folder))
    if way == THREADS:
        serve_by_threads(control, lambda task, end: do(task, made_recognizer(model), end))
        return
    # Made once, because it takes a tenth of a second; each child has it as new.
    recognizer = made_recognizer(model)

    def work(task: Message, end: socket.socket, heard: int) -> None:
        # Of the warm-up nothing may be left in what is heard from here on, wherever it has come to.
        recognizer.FinalResult()
        do(task, recognizer, end, heard)

    warming = warm_up(recognizer) if needs_warm_up(Path(model_folder)) else None
    Server(control, work, warming, RECOGNISE_NICE).run()


def made_recognizer(model: vosk.Model) -> vosk.KaldiRecognizer:
    recognizer = vosk.KaldiRecognizer(model, SAMPLE_RATE)
    recognizer.SetWords(True)
    # Vosk gives word confidences only without alternatives.
    recognizer.SetMaxAlternatives(0)
    return recognizer


def do(task: Message, recognizer: vosk.KaldiRecognizer, end: socket.socket, heard: int = 0) -> None:
    """Do one task to its end. `heard`: samples that the recogniser has heard before, which it counts from.

    Raises OSError when the other side of the socket is gone.
    """
    if task.get("grammar"):
        # Not escaped: Vosk's own parser takes \u00e9 for six letters.
        recognizer.SetGrammar(json.dumps(task["grammar"], ensure_ascii=False))
    if task.get("speakers"):
        # Read here and not once for all: it takes a tenth of a second, and few ask for it.
        recognizer.SetSpkModel(vosk.SpkModel(task["speakers"]))
    if task["kind"] == "live":
        recognise_live(recognizer, heard, end)
        return
    if task["kind"] == "read":
        read(task, Channel(end))
    else:
        recognise(recognizer, heard, Channel(end))


def recognise(recognizer: vosk.KaldiRecognizer, origin: int, channel: Channel) -> None:
    """Piece after piece. What the recogniser knows of the voice by then makes the next one better, and what it has
    unfolded of its graph makes it faster by a tenth."""
    while message := channel.receive():
        with os.fdopen(message[FILE_MARK], "rb") as file:
            origin += _recognise_piece(recognizer, origin, message, file.fileno(), channel)
        channel.send({"event": "done"})


def _recognise_piece(
    recognizer: vosk.KaldiRecognizer, origin: int, message: Message, file: int, channel: Channel
) -> int:
    """Samples that the recogniser has heard for it."""
    lead: int = message["lead"]
    first: int = message["begin"]
    at, samples = 2 * first, 0
    # Where the piece begins on the recogniser's clock.
    begins = origin + lead - first
    # At once for the first: so the length of a file is known from the start.
    reported, turn = -math.inf, at + TURN_BYTES
    while block := os.pread(file, BLOCK_BYTES, at):
        if at >= turn:
            turn = at + TURN_BYTES
            channel.send({"event": "turn"})
            if channel.receive() is None:
                raise BrokenPipeError
        at += len(block)
        samples = max(at // 2 - lead, 0)
        if recognizer.AcceptWaveform(block):
            _send_words(recognizer.Result(), begins, samples, channel)
        if time.monotonic() - reported >= PROGRESS_SECONDS:
            reported = time.monotonic()
            channel.send({"event": "progress", "seconds": samples / SAMPLE_RATE})
    for start in range(0, len(SETTLING), BLOCK_BYTES):
        if recognizer.AcceptWaveform(SETTLING[start : start + BLOCK_BYTES]):
            _send_words(recognizer.Result(), begins, samples, channel)
    _send_words(recognizer.Result(), begins, samples, channel)
    return (at + len(SETTLING)) // 2 - first


def recognise_live(recognizer: vosk.KaldiRecognizer, origin: int, end: socket.socket) -> None:
    """One speaker, for as long as it takes."""
    channel = Channel(end)
    for sound in frames(end):
        ended = []
        for at in range(0, len(sound), BLOCK_BYTES):
            if recognizer.AcceptWaveform(sound[at : at + BLOCK_BYTES]):
                ended.append(recognizer.Result())
        if not sound:
            ended.append(recognizer.FinalResult())
        # There is none before the first sound and just after a result.
        partial: str = json.loads(recognizer.PartialResult()).get("partial", "")
        segments = [_from(origin, json.loads(result)) for result in ended]
        channel.send({"event": "heard", "segments": segments, "partial": partial})


def _send_words(result: str, origin: int, samples: int, channel: Channel) -> None:
    """`samples` of the piece so far, which its words are within."""
    told: dict[str, Any] = json.loads(result)
    end = samples / SAMPLE_RATE
    # Words of the lead are the piece's before. A word may be found to begin in the silence before it, or to end in that
    # behind it.
    words = [
        {**word, "start": min(max(word["start"], 0.0), end), "end": min(max(word["end"], 0.0), end)}
        for word in _from(origin, told)
        if word["start"] + word["end"] > 0
    ]
    if words:
        voice = {"voice": told["spk"], "frames": told["spk_frames"]} if "spk" in told else {}
        channel.send({"event": "segment", "words": words, **voice})


def _from(origin: int, told: dict[str, Any]) -> list[dict[str, Any]]:
    """The words of a result, with times from the sample `origin` on."""
    before = origin / SAMPLE_RATE
    words: list[dict[str, Any]] = told.get("result", [])
    return [{**word, "start": word["start"] - before, "end": word["end"] - before} for word in words]


if __name__ == "__main__":
    main(*sys.argv[1:])
