"""What every local engine does with a file: what is said, when, and how sure it is. In real worker processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from engines import events
from engines.errors import InvalidRequest
from engines.events import Progress, SegmentHeard
from engines.requests import TranscribeRequest
from engines.results import Transcript
from engines.speech.audio import open_audio
from engines.speech.local_engine import LocalEngine
from tests.engines.speech.kinds import Kind
from tests.engines.speech.media import SENTENCES, repeated, wav_bytes


@pytest.fixture(scope="module")
def engine(kind: Kind) -> Iterator[LocalEngine]:
    engine = kind.make(workers=2)
    engine.load()
    yield engine
    engine.close()


def transcribe(engine: LocalEngine, path: Path, progress: list[Progress] | None = None) -> Transcript:
    def on_event(event: events.Event) -> None:
        if progress is not None and isinstance(event, Progress):
            progress.append(event)

    return engine.transcribe(TranscribeRequest(filename=path.name), path, on_event, Event())


@pytest.mark.parametrize("name", SENTENCES)
def test_every_container_gives_the_same_words(engine: LocalEngine, kind: Kind, name: str) -> None:
    assert transcribe(engine, kind.data / name).text == kind.texts[name] == kind.texts["sentence.wav"]


def test_words_have_times_and_confidences(engine: LocalEngine, kind: Kind) -> None:
    transcript = transcribe(engine, kind.data / "longer.wav")
    assert len(transcript.segments) > 1
    assert transcript.duration == pytest.approx(kind.longer_seconds, abs=0.1)
    moment = 0.0
    for segment in transcript.segments:
        assert segment.text == " ".join(word.word for word in segment.words)
        assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)
        for word in segment.words:
            assert moment <= word.start < word.end <= transcript.duration
            assert 0 < word.confidence <= 1
            moment = word.start
    assert transcript.text == " ".join(word.word for word in transcript.words)
    # Speech fills the recording: times in a wrong scale would end early or pile up at the end.
    assert transcript.words[0].start < 1.5
    assert transcript.words[-1].end > 0.9 * transcript.duration


@pytest.mark.parametrize("name", ["silence.wav", "noise.wav"])
def test_no_speech_is_an_empty_transcript(engine: LocalEngine, kind: Kind, name: str) -> None:
    transcript = transcribe(engine, kind.data / name)
    assert transcript.no_speech
    assert (transcript.text, transcript.segments) == ("", ())
    assert transcript.duration == pytest.approx(2.0, abs=0.01)


def test_speech_up_to_the_last_sample_is_heard(engine: LocalEngine, kind: Kind, tmp_path: Path) -> None:
    with open_audio(kind.data / "sentence.wav") as audio:
        sound = b"".join(audio.blocks())
    path = tmp_path / "no-pause.wav"
    path.write_bytes(wav_bytes(data=sound[: int(1.8 * 32_000)]))
    transcript = transcribe(engine, path)
    assert len(transcript.words) >= kind.half
    assert kind.texts["sentence.wav"].startswith(transcript.text.rsplit(" ", 1)[0])
    assert transcript.words[-1].end <= transcript.duration


def test_progress_grows_to_one(engine: LocalEngine, kind: Kind, tmp_path: Path) -> None:
    progress: list[Progress] = []
    transcribe(engine, repeated(tmp_path / "two-minutes.wav", kind.data / "longer.wav", 3), progress)
    fractions = [item.fraction for item in progress]
    assert fractions[0] < 0.1
    assert progress[0].total == progress[-1].total, "the length is known from the start"
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert fractions[-2] < 1.0
    assert {item.stage for item in progress} == {"transcribe"}
    assert progress[-1].step == progress[-1].total


def test_each_segment_is_told_when_it_is_known(engine: LocalEngine, kind: Kind) -> None:
    told: list[events.Event] = []
    transcript = engine.transcribe(TranscribeRequest(), kind.data / "longer.wav", told.append, Event())
    heard = [event.segment for event in told if isinstance(event, SegmentHeard)]
    assert len(heard) > 1
    # Their times may run over the end of the file by less than one of the recogniser's frames.
    assert [(one.text, len(one.words)) for one in heard] == [(one.text, len(one.words)) for one in transcript.segments]
    for one, other in zip(heard, transcript.segments, strict=True):
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.03)
    first = next(number for number, event in enumerate(told) if isinstance(event, SegmentHeard))
    assert any(isinstance(event, Progress) and event.fraction < 1 for event in told[first:]), "work goes on after it"


def test_a_cut_recording_is_transcribed_as_far_as_it_goes(engine: LocalEngine, kind: Kind, tmp_path: Path) -> None:
    whole = (kind.data / "sentence.mp3").read_bytes()
    path = tmp_path / "cut.mp3"
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    transcript = transcribe(engine, path)
    assert kind.texts["sentence.mp3"].startswith(transcript.text.rsplit(" ", 1)[0])
    assert kind.half <= len(transcript.words)
    assert transcript.text != kind.texts["sentence.mp3"]
    assert "missing or damaged" in transcript.note


def test_two_at_once_give_what_one_gives(engine: LocalEngine, kind: Kind) -> None:
    found: dict[str, str] = {}

    def work(name: str) -> None:
        found[name] = transcribe(engine, kind.data / name).text

    # More callers than workers: the rest wait for a free one.
    threads = [threading.Thread(target=work, args=(name,)) for name in (*SENTENCES, "digits.wav", "longer.wav")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = transcribe(engine, kind.data / "longer.wav").text
    assert found == {**{name: kind.texts[name] for name in (*SENTENCES, "digits.wav")}, "longer.wav": alone}


@pytest.mark.parametrize("language", [None, "", "en", "EN", "en-US", "en_GB"])
def test_its_language_is_taken(engine: LocalEngine, language: str | None) -> None:
    engine.check(TranscribeRequest(language=language))


def test_another_language_is_refused_by_name(engine: LocalEngine, kind: Kind) -> None:
    with pytest.raises(InvalidRequest, match=r"'de' is not available.*understands en") as caught:
        engine.transcribe(TranscribeRequest(language="de"), kind.data / "sentence.wav", lambda _: None, Event())
    assert caught.value.field == "language"
