"""The warm-up leaves nothing behind: neither words nor seconds, wherever it is when a task comes."""

from __future__ import annotations

import itertools
import socket
import threading
from typing import Any

import pytest
import vosk

from engines.speech.audio import open_audio
from engines.speech.warm_up import needs_warm_up, warm_up
from engines.speech.worker import do
from engines.wire import Channel, file_of
from tests.engines.speech.media import DATA, MODEL


def words_heard(recognizer: vosk.KaldiRecognizer, heard: int) -> list[dict[str, Any]]:
    """What a task tells of a sentence, spoken to it by its socket."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    task = threading.Thread(target=_quietly, args=(recognizer, heard, theirs))
    task.start()
    with open_audio(DATA / "sentence.wav") as audio, file_of(audio.blocks()) as sound:
        channel.send({"lead": 0, "begin": 0}, sound.fileno())
        words: list[dict[str, Any]] = []
        while (message := channel.receive(20)) and message["event"] != "done":
            words += message.get("words", [])
    channel.close()
    task.join()
    return words


def _quietly(recognizer: vosk.KaldiRecognizer, heard: int, end: socket.socket) -> None:
    do({"kind": "recognise"}, recognizer, end, heard)
    end.close()


@pytest.mark.parametrize("steps", [1, 23, 1000])
def test_words_and_times_are_those_of_a_recogniser_that_has_heard_nothing(
    steps: int,
) -> None:
    assert needs_warm_up(MODEL)
    model = vosk.Model(model_path=str(MODEL))
    heard_nothing, warm = (vosk.KaldiRecognizer(model, 16_000) for _ in range(2))
    for recognizer in (heard_nothing, warm):
        recognizer.SetWords(True)
    heard = list(itertools.islice(warm_up(warm), steps))[-1]
    warm.FinalResult()
    expected = words_heard(heard_nothing, 0)
    told = words_heard(warm, heard)
    assert [word["word"] for word in expected] == ["hello", "this", "is", "a", "test", "of", "the", "voice", "message"]
    assert [word["word"] for word in told] == [word["word"] for word in expected]
    for one, other in zip(told, expected, strict=True):
        assert one["start"] == pytest.approx(other["start"], abs=1e-6)
        assert one["end"] == pytest.approx(other["end"], abs=1e-6)
