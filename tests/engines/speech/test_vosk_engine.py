"""The real demo model in real worker processes: what is said, when, and how sure."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from threading import Event

import pytest

from engines import events
from engines.errors import InvalidMedia, InvalidRequest, ModelInvalid, ModelMissing
from engines.events import Progress, SegmentHeard
from engines.requests import TranscribeRequest
from engines.results import Segment, Transcript, Word
from engines.speech.audio import open_audio
from engines.speech.segments import read_segment
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MALFORMED, MODEL, SENTENCES, repeated, silent_video, wav_bytes


def transcribe(engine: VoskEngine, path: Path, progress: list[Progress] | None = None) -> Transcript:
    def on_event(event: events.Event) -> None:
        if progress is not None and isinstance(event, Progress):
            progress.append(event)

    return engine.transcribe(TranscribeRequest(filename=path.name), path, on_event, Event())


@pytest.mark.parametrize("name", SENTENCES)
def test_every_container_gives_the_same_words(engine: VoskEngine, texts: dict[str, str], name: str) -> None:
    assert transcribe(engine, DATA / name).text == texts[name] == texts["sentence.wav"]


def test_words_have_times_and_confidences(engine: VoskEngine) -> None:
    transcript = transcribe(engine, DATA / "longer.wav")
    assert len(transcript.segments) > 1
    assert transcript.duration == pytest.approx(39.4, abs=0.1)
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


def test_the_engine_says_what_it_is(engine: VoskEngine) -> None:
    transcript = transcribe(engine, DATA / "digits.wav")
    assert engine.info.demo
    assert transcript.demo
    assert "demo" in transcript.note.lower()
    assert (transcript.engine, transcript.where, transcript.language) == ("vosk-demo-en", "local", "en")


@pytest.mark.parametrize("name", ["silence.wav", "noise.wav"])
def test_no_speech_is_an_empty_transcript(engine: VoskEngine, name: str) -> None:
    transcript = transcribe(engine, DATA / name)
    assert transcript.no_speech
    assert (transcript.text, transcript.segments) == ("", ())
    assert transcript.duration == pytest.approx(2.0, abs=0.01)


def test_unknown_sounds_are_left_out() -> None:
    heard = [
        {"word": "[unk]", "start": 0.0, "end": 0.3, "conf": 1.0},
        {"word": "hello", "start": 0.3, "end": 0.6, "conf": 1.000001},
        {"word": "[unk]", "start": 0.6, "end": 0.9, "conf": 0.4},
    ]
    segment = read_segment(heard)
    assert segment == Segment(
        text="hello", start=0.3, end=0.6, words=(Word(word="hello", start=0.3, end=0.6, confidence=1.0),)
    )
    assert read_segment(heard[:1]) is None


def test_speech_up_to_the_last_sample_is_heard(engine: VoskEngine, texts: dict[str, str], tmp_path: Path) -> None:
    with open_audio(DATA / "sentence.wav") as audio:
        sound = b"".join(audio.blocks())
    path = tmp_path / "no-pause.wav"
    path.write_bytes(wav_bytes(data=sound[: int(1.8 * 32_000)]))
    transcript = transcribe(engine, path)
    assert len(transcript.words) >= 3
    assert texts["sentence.wav"].startswith(transcript.text.rsplit(" ", 1)[0])
    assert transcript.words[-1].end <= transcript.duration


def test_progress_grows_to_one(engine: VoskEngine, tmp_path: Path) -> None:
    progress: list[Progress] = []
    transcribe(engine, repeated(tmp_path / "two-minutes.wav", DATA / "longer.wav", 3), progress)
    fractions = [item.fraction for item in progress]
    assert 0 < fractions[0] < 0.1, "the length is known from the start"
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert fractions[-2] < 1.0
    assert {item.stage for item in progress} == {"transcribe"}
    assert progress[-1].step == progress[-1].total


def test_each_segment_is_told_when_it_is_known(engine: VoskEngine) -> None:
    told: list[events.Event] = []
    transcript = engine.transcribe(TranscribeRequest(), DATA / "longer.wav", told.append, Event())
    heard = [event.segment for event in told if isinstance(event, SegmentHeard)]
    assert len(heard) > 1
    # Their times may run over the end of the file by less than one of the recogniser's frames.
    assert [(one.text, len(one.words)) for one in heard] == [(one.text, len(one.words)) for one in transcript.segments]
    for one, other in zip(heard, transcript.segments, strict=True):
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.03)
    first = next(number for number, event in enumerate(told) if isinstance(event, SegmentHeard))
    assert any(isinstance(event, Progress) and event.fraction < 1 for event in told[first:]), "work goes on after it"


def test_malformed_files_cost_nothing_but_themselves(engine: VoskEngine, texts: dict[str, str], tmp_path: Path) -> None:
    files = [silent_video(tmp_path / "silent.mp4")]
    for name, make in MALFORMED.items():
        files.append(tmp_path / name)
        files[-1].write_bytes(make())
    for path in files:
        with pytest.raises(InvalidMedia) as caught:
            transcribe(engine, path)
        assert caught.value.field == "file"
        assert str(tmp_path) not in str(caught.value)
        assert transcribe(engine, DATA / "sentence.ogg").text == texts["sentence.ogg"], f"after {path.name}"


def test_a_cut_recording_is_transcribed_as_far_as_it_goes(
    engine: VoskEngine, texts: dict[str, str], tmp_path: Path
) -> None:
    whole = (DATA / "sentence.mp3").read_bytes()
    path = tmp_path / "cut.mp3"
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    transcript = transcribe(engine, path)
    assert texts["sentence.mp3"].startswith(transcript.text.rsplit(" ", 1)[0])
    assert 2 < len(transcript.words) < 9
    assert "missing or damaged" in transcript.note


def test_two_at_once_give_what_one_gives(engine: VoskEngine, texts: dict[str, str]) -> None:
    found: dict[str, str] = {}

    def work(name: str) -> None:
        found[name] = transcribe(engine, DATA / name).text

    # More callers than workers: the rest wait for a free one.
    threads = [threading.Thread(target=work, args=(name,)) for name in (*SENTENCES, "digits.wav", "longer.wav")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = transcribe(engine, DATA / "longer.wav").text
    assert found == {**{name: texts[name] for name in (*SENTENCES, "digits.wav")}, "longer.wav": alone}


def test_the_length_limit_is_the_engines(tmp_path: Path) -> None:
    engine = VoskEngine(MODEL, workers=1, max_seconds=2.5)
    try:
        assert transcribe(engine, DATA / "silence.wav").no_speech
        path = tmp_path / "piped.wav"
        path.write_bytes(wav_bytes(seconds=4, announced=0xFFFFFFFF))
        with pytest.raises(InvalidMedia, match="longer than"):
            transcribe(engine, path)
    finally:
        engine.close()


@pytest.mark.parametrize("language", [None, "", "en", "EN", "en-US", "en_GB"])
def test_its_language_is_taken(engine: VoskEngine, language: str | None) -> None:
    engine.check(TranscribeRequest(language=language))


def test_another_language_is_refused_by_name(engine: VoskEngine) -> None:
    with pytest.raises(InvalidRequest, match=r"'de' is not available.*understands en") as caught:
        engine.transcribe(TranscribeRequest(language="de"), DATA / "sentence.wav", lambda _: None, Event())
    assert caught.value.field == "language"


def test_a_missing_model_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="models pull small-en"):
        VoskEngine(tmp_path / "nothing")


@pytest.mark.parametrize("missing", ["am/final.mdl", "graph/HCLr.fst", "conf/mfcc.conf"])
def test_an_incomplete_model_is_refused_before_anything_starts(tmp_path: Path, missing: str) -> None:
    folder = shutil.copytree(MODEL, tmp_path / "model")
    (folder / missing).unlink()
    with pytest.raises(ModelInvalid, match="not a complete Vosk model"):
        VoskEngine(folder)


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"PK")
    with pytest.raises(ModelInvalid, match="Unpack it"):
        VoskEngine(tmp_path / "model.zip")


@pytest.mark.parametrize("content", [b"", b"\0B<TransitionModel> nonsense", bytes(100_000)])
def test_a_damaged_model_is_an_error_and_not_a_crash(tmp_path: Path, content: bytes) -> None:
    folder = shutil.copytree(MODEL, tmp_path / "model")
    (folder / "am" / "final.mdl").write_bytes(content)
    engine = VoskEngine(folder)
    with pytest.raises(ModelInvalid, match="could not be loaded"):
        engine.load()
    engine.close()


def test_a_model_without_description_is_known_by_its_folder(tmp_path: Path, texts: dict[str, str]) -> None:
    folder = shutil.copytree(MODEL, tmp_path / "vosk-model-small-en-us-0.15")
    (folder / "studio.json").unlink()
    engine = VoskEngine(folder)
    try:
        assert (engine.info.name, engine.info.language, engine.info.demo) == (folder.name, "en-US", False)
        transcript = transcribe(engine, DATA / "sentence.wav")
        assert (transcript.text, transcript.note, transcript.demo) == (texts["sentence.wav"], "", False)
    finally:
        engine.close()


def test_a_broken_description_is_named(tmp_path: Path) -> None:
    folder = shutil.copytree(MODEL, tmp_path / "model")
    (folder / "studio.json").write_text("{")
    with pytest.raises(ModelInvalid, match=r"studio\.json is not valid JSON"):
        VoskEngine(folder)
    (folder / "studio.json").write_text(json.dumps(["a list"]))
    with pytest.raises(ModelInvalid, match="must hold a JSON object"):
        VoskEngine(folder)
