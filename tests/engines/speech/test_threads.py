"""The model's process without forks, as it works on macOS: the same words, and what it cannot do that a fork can."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from engines import events
from engines.errors import Cancelled
from engines.events import SegmentHeard
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import Transcript
from engines.speech.local_engine import LocalEngine
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.kinds import Kind
from tests.engines.speech.listening import model_process, pcm, text_of
from tests.engines.speech.media import DATA, MODEL, repeated
from tests.engines.speech.processes import eventually, task_pids


@pytest.fixture(scope="module")
def mac(kind: Kind) -> Iterator[LocalEngine]:
    engine = kind.make(workers=2, platform="darwin")
    yield engine
    engine.close()


def transcribed(engine: LocalEngine, path: Path, **fields: object) -> Transcript:
    request = TranscribeRequest.model_validate(fields)
    return engine.transcribe(request, path, lambda _: None, Event())


def test_files_and_a_speaker_are_heard_side_by_side_by_one_process(mac: LocalEngine, kind: Kind) -> None:
    children: set[int] = set()
    heard: list[Transcript] = []
    with closing(mac.listen(ListenRequest(sample_rate=16_000), Event())) as session:
        files = [Thread(target=lambda: heard.append(transcribed(mac, kind.data / "longer.wav"))) for _ in range(2)]
        for file in files:
            file.start()
        told = [session.accept(pcm(kind.data / "digits.wav", 16_000)), session.flush()]
        children |= task_pids(model_process(mac))
        for file in files:
            file.join()
    assert text_of(told) == kind.texts["digits.wav"]
    assert [one.text for one in heard] == [kind.texts["longer.wav"]] * 2
    assert heard[0] == heard[1]
    assert children == set()


def test_it_hears_what_forks_hear(mac: LocalEngine, kind: Kind) -> None:
    with closing(kind.make(workers=2)) as forks:
        here, there = (transcribed(engine, kind.data / "longer.wav").words for engine in (mac, forks))
    # Each may or may not have had the time to warm up, after which a word's edge may lie a step elsewhere.
    for one, other in zip(here, there, strict=True):
        assert one.word == other.word
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.03), one.word


def test_each_task_has_a_recogniser_of_its_own(engine: VoskEngine, texts: dict[str, str]) -> None:
    with closing(VoskEngine(MODEL, platform="darwin")) as mac:
        digits = DATA / "digits.wav"
        limited = transcribed(mac, digits, vocabulary=["seven", "eight"])
        assert limited.text == transcribed(engine, digits, vocabulary=["seven", "eight"]).text
        assert transcribed(mac, digits).text == texts["digits.wav"]


def test_cancel_ends_the_work_and_leaves_the_model(
    mac: LocalEngine, kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> None:
    long = repeated(tmp_path_factory.mktemp("long") / "long.wav", kind.data / "longer.wav", 8)
    cancel = Event()
    before = model_process(mac)

    def on_event(event: events.Event) -> None:
        if isinstance(event, SegmentHeard):
            cancel.set()

    with pytest.raises(Cancelled):
        mac.transcribe(TranscribeRequest(), long, on_event, cancel)
    assert model_process(mac) == before
    assert transcribed(mac, kind.data / "digits.wav").text


def test_a_crash_takes_the_process_and_the_work_is_done_again(texts: dict[str, str]) -> None:
    """Of a file that has been read; one that is still being read is lost with the process."""
    killed: list[int] = []
    with closing(VoskEngine(MODEL, platform="darwin")) as mac:

        def on_event(event: events.Event) -> None:
            if isinstance(event, SegmentHeard) and not killed:
                killed.append(model_process(mac))
                os.kill(killed[0], signal.SIGKILL)

        again = mac.transcribe(TranscribeRequest(), DATA / "longer.wav", on_event, Event())
        assert again.text == texts["longer.wav"]
        assert eventually(lambda: model_process(mac) != killed[0])
