"""The stand-ins keep the engines' promises."""

from __future__ import annotations

import wave
from pathlib import Path
from threading import Event

import pytest

from engines import events
from engines.errors import InvalidRequest
from engines.events import Preview, Progress, SegmentHeard
from engines.protocols import ImageEngine, SpeechEngine
from engines.requests import ImageRequest, TranscribeRequest
from tests.small_engines import BlobEngine, EchoSpeech


def test_they_are_engines() -> None:
    image: ImageEngine = BlobEngine()
    speech: SpeechEngine = EchoSpeech()
    assert image.info.demo
    assert speech.info.demo


def test_a_blob_grows_in_its_previews() -> None:
    told: list[events.Event] = []
    request = ImageRequest(prompt="on blue", seed=7, count=2, width=64, height=64)
    result = BlobEngine(steps=4).generate(request, None, told.append, Event())
    assert [type(event) for event in told] == [Progress, Preview] * 4
    previews = [event.image for event in told if isinstance(event, Preview)]
    blue = [image.tobytes().count(bytes((0, 0, 255))) for image in previews]
    assert blue == sorted(blue, reverse=True)
    assert blue[0] > blue[-1]
    assert [made.recipe.seed for made in result.images] == [7, 8]


def test_a_blob_is_asked_for_as_any_picture_is() -> None:
    with pytest.raises(InvalidRequest, match="sampler is 'heun'"):
        BlobEngine().check(ImageRequest(prompt="a cat", seed=1, sampler="heun"), None)


def test_an_echo_tells_of_each_segment(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\1" * 2 * 8000 * 2 + bytes(8000) + b"\1" * 8000)
    told: list[events.Event] = []
    transcript = EchoSpeech().transcribe(TranscribeRequest(), tmp_path / "tone.wav", told.append, Event())
    heard = tuple(event.segment for event in told if isinstance(event, SegmentHeard))
    assert heard == transcript.segments
    assert [segment.text for segment in heard] == ["word1 word2", "word3 word4", "word6"]
    assert (transcript.duration, transcript.segments[2].start) == (3.0, 2.5)
