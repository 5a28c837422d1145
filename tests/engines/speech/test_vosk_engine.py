"""The real demo model in real worker processes: what is said, when, and how sure."""

from __future__ import annotations

import json
import shutil
import wave
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import vosk

from engines import events
from engines.errors import InvalidMedia, ModelInvalid, ModelMissing
from engines.events import Progress
from engines.requests import TranscribeRequest
from engines.results import Segment, Transcript, Word
from engines.speech.segments import read_segment
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MALFORMED, MODEL, repeated, silent_video, wav_bytes


def transcribe(engine: VoskEngine, path: Path, progress: list[Progress] | None = None) -> Transcript:
    def on_event(event: events.Event) -> None:
        if progress is not None and isinstance(event, Progress):
            progress.append(event)

    return engine.transcribe(TranscribeRequest(filename=path.name), path, on_event, Event())


def test_the_engine_says_what_it_is(engine: VoskEngine) -> None:
    transcript = transcribe(engine, DATA / "digits.wav")
    assert engine.info.demo
    assert transcript.demo
    assert "demo" in transcript.note.lower()
    assert (transcript.engine, transcript.where, transcript.language) == ("vosk-demo-en", "local", "en")


def test_pieces_give_the_words_and_times_of_the_whole(engine: VoskEngine, tmp_path: Path) -> None:
    """Vosk's own loop keeps what it knows of the voice from one utterance to the next, and so do we between pieces."""
    path = repeated(tmp_path / "two-minutes.wav", DATA / "longer.wav", 3)
    vosk.SetLogLevel(-1)
    recognizer = vosk.KaldiRecognizer(vosk.Model(model_path=str(MODEL)), 16_000)
    recognizer.SetWords(True)
    uncut: list[dict[str, Any]] = []
    with wave.open(str(path)) as file:
        while block := file.readframes(4000):
            if recognizer.AcceptWaveform(block):
                uncut += json.loads(recognizer.Result()).get("result", [])
    uncut += json.loads(recognizer.FinalResult()).get("result", [])
    words = transcribe(engine, path).words
    assert [word.word for word in words] == [word["word"] for word in uncut]
    apart = [
        max(abs(word.start - same["start"]), abs(word.end - same["end"]))
        for word, same in zip(words, uncut, strict=True)
    ]
    assert sum(seconds > 0.031 for seconds in apart) <= len(apart) / 50
    assert max(apart) < 0.3


def test_times_stay_on_the_grid_however_long_a_recogniser_hears(engine: VoskEngine, long_recording: Path) -> None:
    """Each ten minutes Vosk counts its frames of 30 ms anew. A word's beginning may be a mean of several frames'."""
    words = [word for word in transcribe(engine, long_recording).words if word.start > 1300]
    assert len(words) > 300
    between = [abs(word.start - 0.03 * round(word.start / 0.03)) for word in words]
    assert sum(seconds > 0.002 for seconds in between) < len(words) / 10


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
