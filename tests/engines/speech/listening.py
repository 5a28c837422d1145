"""Speaks to an engine as a live session does, and looks at the processes behind it."""

from __future__ import annotations

import random
import subprocess
from contextlib import closing
from pathlib import Path
from threading import Event

import av

from engines.requests import ListenRequest
from engines.results import Heard
from engines.speech.local_engine import LocalEngine
from tests.engines.speech.media import DATA


def pcm(name: str | Path, rate: int) -> bytes:
    """A recording, by default of the data folder, as 16 bit PCM with one channel."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    out = bytearray()
    with av.open(DATA / name) as container:
        frames = [*(frame for frame in container.decode(audio=0)), None]
        for frame in frames:
            for done in resampler.resample(frame):
                out += bytes(done.planes[0])[: done.samples * 2]
    return bytes(out)


def listen(engine: LocalEngine, sound: bytes, rate: int, *, pieces: random.Random | None = None) -> list[Heard]:
    """What is heard of sound that comes in pieces: of a tenth of a second, or of random lengths."""
    heard = []
    with closing(engine.listen(ListenRequest(sample_rate=rate), Event())) as session:
        at = 0
        while at < len(sound):
            size = rate // 10 * 2 if pieces is None else pieces.randrange(1, rate)
            heard.append(session.accept(sound[at : at + size]))
            at += size
        heard.append(session.flush())
    return heard


def text_of(heard: list[Heard]) -> str:
    return " ".join(segment.text for one in heard for segment in one.segments)


def model_process(engine: LocalEngine) -> int:
    process = engine._models.get(Event())
    return process._process.pid


def children(engine: LocalEngine) -> list[str]:
    command = ["ps", "--ppid", str(model_process(engine)), "-o", "pid="]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.split()
