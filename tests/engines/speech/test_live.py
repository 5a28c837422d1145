"""Live sessions: the right words from sound of any rate and cut, each session on its own."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path
from threading import Event

import av
import pytest

from engines.errors import Cancelled, EngineCrashed, InvalidRequest, ModelInvalid, ServiceUnavailable
from engines.requests import ListenRequest
from engines.speech.local_engine import LocalEngine
from engines.speech.recording import SoundFile
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.kinds import Kind
from tests.engines.speech.listening import children, listen, model_process, pcm, text_of
from tests.engines.speech.processes import eventually


@pytest.fixture(scope="module")
def engine(kind: Kind) -> Iterator[LocalEngine]:
    engine = kind.make(workers=2)
    engine.load()
    yield engine
    engine.close()


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_sound_of_any_rate_in_pieces_of_any_length(engine: LocalEngine, kind: Kind, rate: int) -> None:
    sound = pcm(kind.data / "sentence.wav", rate)
    heard = listen(engine, sound, rate, pieces=random.Random(rate))
    assert text_of(heard) == kind.texts["sentence.wav"]
    assert heard[-1].seconds == pytest.approx(len(sound) / 2 / rate, abs=0.001)


def test_words_are_told_while_they_are_spoken_and_have_the_files_times(engine: LocalEngine, kind: Kind) -> None:
    heard = listen(engine, pcm(kind.data / "sentence.wav", 48_000), 48_000)
    words = [word for one in heard for segment in one.segments for word in segment.words]
    for word in words:
        # In sound, not in time on a clock: how far behind the voice the words are where the machine keeps up.
        told = next(one.seconds for one in heard if word.word in (one.partial + text_of([one])).split())
        assert word.end - 0.35 < told < word.end + kind.behind
    assert heard[len(heard) // 2].partial


def test_a_pause_of_the_speaker_settles_and_flush_settles_the_rest(engine: LocalEngine, kind: Kind) -> None:
    sound = pcm(kind.data / "sentence.wav", 16_000)
    with closing(engine.listen(ListenRequest(sample_rate=16_000), Event())) as session:
        first = [session.accept(sound), session.flush()]
        again = [session.accept(sound), session.flush()]
    assert text_of(first) == text_of(again) == kind.texts["sentence.wav"]
    start = next(segment.start for one in again for segment in one.segments)
    assert start == pytest.approx(len(sound) / 32_000, abs=0.5)


def test_ten_speakers_at_once_are_all_heard(engine: LocalEngine, kind: Kind) -> None:
    sound = pcm(kind.data / "sentence.wav", 16_000)
    with ThreadPoolExecutor(10) as speakers:
        heard = speakers.map(lambda _: text_of(listen(engine, sound, 16_000)), range(10))
        assert list(heard) == [kind.texts["sentence.wav"]] * 10
    eventually(lambda: not children(engine))


def test_a_session_whose_process_dies_is_lost_alone(engine: LocalEngine, kind: Kind) -> None:
    sound = pcm(kind.data / "sentence.wav", 16_000)
    with (
        closing(engine.listen(ListenRequest(sample_rate=16_000), Event())) as other,
        closing(engine.listen(ListenRequest(sample_rate=16_000), Event())) as lost,
    ):
        other.accept(sound)
        lost.accept(sound)
        os.kill(int(max(children(engine), key=int)), signal.SIGKILL)
        with pytest.raises(EngineCrashed, match="Begin a new one"):
            lost.accept(sound)
        other.flush()
    assert text_of(listen(engine, sound, 16_000)) == kind.texts["sentence.wav"]


def test_the_process_is_started_again_when_it_has_died(engine: LocalEngine, kind: Kind) -> None:
    sound = pcm(kind.data / "sentence.wav", 16_000)
    listen(engine, sound, 16_000)
    os.kill(model_process(engine), signal.SIGKILL)
    time.sleep(0.2)
    assert text_of(listen(engine, sound, 16_000)) == kind.texts["sentence.wav"]


def test_a_session_ends_when_it_is_cancelled(engine: LocalEngine) -> None:
    cancel = Event()
    with closing(engine.listen(ListenRequest(sample_rate=16_000), cancel)) as session:
        cancel.set()
        with pytest.raises(Cancelled):
            session.accept(bytes(32_000))


def test_another_language_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(InvalidRequest, match="understands en"):
        engine.listen(ListenRequest(sample_rate=16_000, language="fr"), Event())


def test_a_model_that_cannot_be_loaded_says_so_and_a_closed_engine_too(tmp_path: Path) -> None:
    broken = tmp_path / "model"
    for name in ("am/final.mdl", "graph/HCLG.fst", "conf/mfcc.conf"):
        (broken / name).parent.mkdir(parents=True, exist_ok=True)
        (broken / name).write_bytes(b"nothing")
    engine = VoskEngine(broken)
    with pytest.raises(ModelInvalid, match="could not be loaded"):
        engine.listen(ListenRequest(sample_rate=16_000), Event())
    engine.close()
    with pytest.raises(ServiceUnavailable):
        engine.listen(ListenRequest(sample_rate=16_000), Event())


def test_kept_sound_is_the_sound() -> None:
    odd = random.Random(1).randbytes(44_100)
    file = SoundFile(44_100)
    for at in range(0, len(odd), 3201):
        file.write(odd[at : at + 3201])
    with av.open(BytesIO(file.finish()), "r") as container:
        frames = [bytes(frame.planes[0])[: frame.samples * 2] for frame in container.decode(audio=0)]
    assert b"".join(frames) == odd
