"""The process of a model in ONNX: `python -m engines.speech.onnx_worker MODEL_FOLDER fork|threads`.

It works and speaks as worker.py does, which describes the tasks; "grammar" and "speakers" are not among them here. A
model that cannot be used is told before the end: {"event": "refused", "message"}.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from engines.errors import ModelInvalid
from engines.speech.onnx_live import Listener
from engines.speech.onnx_model import OnnxModel
from engines.speech.tasks import Server, frames, read, serve_by_threads
from engines.speech.utterances import utterances
from engines.wire import FILE_MARK, THREADS, Channel, Message


def main(model_folder: str, way: str) -> None:
    # Native code that prints must not get between two messages.
    control = socket.socket(fileno=os.dup(0))
    try:
        model = OnnxModel(Path(model_folder))
    except ModelInvalid as error:
        Channel(control).send({"event": "refused", "message": str(error)})
        return
    if way == THREADS:
        serve_by_threads(control, lambda task, end: do(task, model, end))
    else:
        Server(control, lambda task, end, _: do(task, model, end)).run()


def do(task: Message, model: OnnxModel, end: socket.socket) -> None:
    """Do one task to its end. Raises OSError when the other side of the socket is gone."""
    match task["kind"]:
        case "read":
            read(task, Channel(end))
        case "recognise":
            recognise(model, Channel(end))
        case "live":
            listen(model, end)


def recognise(model: OnnxModel, channel: Channel) -> None:
    """Piece after piece, each as a whole."""
    while message := channel.receive():
        file = message[FILE_MARK]
        # At once: so the length of a file is known from the start.
        channel.send({"event": "progress", "seconds": 0.0})
        sound = os.pread(file, os.fstat(file).st_size, 0)
        os.close(file)
        for words in utterances(model.tokens(sound), sound):
            channel.send({"event": "segment", "words": words})
        channel.send({"event": "done"})


def listen(model: OnnxModel, end: socket.socket) -> None:
    """One speaker, for as long as it takes."""
    listener = Listener(model.tokens)
    channel = Channel(end)
    for sound in frames(end):
        segments = listener.accept(sound) if sound else listener.flush()
        channel.send({"event": "heard", "segments": segments, "partial": listener.partial})


if __name__ == "__main__":
    main(*sys.argv[1:])
