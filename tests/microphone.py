"""A microphone that ALSA plays from a file, and machines without one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from tests.conftest import ROOT
from tests.engines.speech.listening import pcm

DIGITS: str = json.loads((ROOT / "tests/data/speech/sentences.json").read_text())["digits.wav"]

RATE = 44_100
"""Of ALSA's null device."""


def alsa(folder: Path, *, microphone: bool = True) -> dict[str, str]:
    """An environment whose one sound device hears what is written to `folder`/sound, as fast as it is written: ALSA's
    file plugin over a device that does nothing. Or none, but for one that is named and is not there."""
    config = folder / "asound.conf"
    heard = folder / "sound"
    if microphone:
        os.mkfifo(heard)
    device = f'{{ type file slave.pcm {{ type null }} file /dev/null infile "{heard}" format raw }}'
    absent = "{ type hw card 99 }"
    config.write_text(f"pcm.!default {device if microphone else absent}\nctl.!default {absent}\n")
    return {**os.environ, "ALSA_CONFIG_PATH": str(config), "STUDIO_DATA_DIR": str(folder), "HOME": str(folder)}


@contextmanager
def speaking(folder: Path) -> Iterator[None]:
    """Somebody says the digits, then nothing, at twice the pace of a person."""
    sound = pcm("digits.wav", RATE)
    over = Event()

    def speak() -> None:
        # For reading too, so that neither end waits for the other or loses it.
        pipe = os.open(folder / "sound", os.O_RDWR | os.O_NONBLOCK)
        said = sound + bytes(RATE * 2 * 120)
        while not over.wait(0.05):
            with suppress(BlockingIOError):
                said = said[os.write(pipe, said[: RATE // 10 * 2]) :]
        # What still waits for sound gets silence.
        with suppress(BlockingIOError):
            os.write(pipe, bytes(RATE))
        os.close(pipe)

    speaker = Thread(target=speak)
    speaker.start()
    try:
        yield
    finally:
        over.set()
        speaker.join()
