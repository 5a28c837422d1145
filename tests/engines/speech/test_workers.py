"""Worker processes under misfortune: each costs at most one request, and none outlives its parent."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from engines import events
from engines.errors import Cancelled, EngineCrashed, ServiceUnavailable, StudioError
from engines.requests import TranscribeRequest
from engines.results import Transcript
from engines.speech import recogniser
from engines.speech.local_engine import LocalEngine
from engines.speech.onnx_engine import OnnxEngine
from engines.speech.process import Timeouts
from engines.speech.vosk_engine import VoskEngine
from engines.wire import Message
from tests.engines.speech.kinds import Kind
from tests.engines.speech.media import DATA, MODEL
from tests.engines.speech.processes import eventually, is_alive, task_pids, worker_pids

ROOT = Path(__file__).parents[3]


class Running:
    """One transcription on a thread of its own, caught in the middle."""

    def __init__(self, engine: LocalEngine, path: Path) -> None:
        self.cancel = Event()
        self.started = Event()
        self.result: Transcript | None = None
        self.error: StudioError | None = None
        self._thread = threading.Thread(target=self._run, args=(engine, path))
        self._thread.start()

    def _run(self, engine: LocalEngine, path: Path) -> None:
        try:
            self.result = engine.transcribe(TranscribeRequest(), path, self._on_event, self.cancel)
        except StudioError as error:
            self.error = error

    def _on_event(self, _: events.Event) -> None:
        self.started.set()

    def until_started(self) -> None:
        assert self.started.wait(30)

    def seconds_to_end(self) -> float:
        began = time.monotonic()
        self._thread.join(30)
        assert not self._thread.is_alive()
        return time.monotonic() - began


@pytest.fixture
def lone() -> Iterator[VoskEngine]:
    """An engine for one core, for tests that do it harm."""
    engine = VoskEngine(MODEL, workers=1, timeouts=Timeouts(stall=4))
    yield engine
    engine.close()


@pytest.fixture
def any_lone(kind: Kind) -> Iterator[LocalEngine]:
    """The same of each kind."""
    engine = kind.make(workers=1, timeouts=Timeouts(stall=4))
    yield engine
    engine.close()


def words(engine: VoskEngine) -> str:
    return engine.transcribe(TranscribeRequest(), DATA / "sentence.ogg", lambda _: None, Event()).text


def only_worker(before: set[int]) -> int:
    # A process that has only just been started shows no command line for a moment.
    assert eventually(lambda: len(worker_pids() - before) == 1)
    (pid,) = worker_pids() - before
    return pid


@pytest.fixture
def before() -> set[int]:
    """Workers of other tests' engines."""
    return worker_pids()


def only_recogniser(model: int) -> int:
    """The child that recognises; the one that reads waits (or is done) and holds no words."""
    assert eventually(lambda: bool(task_pids(model)))
    return max(task_pids(model))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_a_crash_or_a_hang_in_a_piece_costs_a_second_try(
    before: set[int], any_lone: LocalEngine, kind: Kind, how: signal.Signals
) -> None:
    alone = any_lone.transcribe(TranscribeRequest(), kind.data / "longer.wav", lambda _: None, Event())
    model = only_worker(before)
    hurt: list[int] = []

    def on_event(event: events.Event) -> None:
        if isinstance(event, events.SegmentHeard) and not hurt:
            hurt.append(only_recogniser(model))
            os.kill(hurt[0], how)

    again = any_lone.transcribe(TranscribeRequest(), kind.data / "longer.wav", on_event, Event())
    assert hurt
    assert again == alone
    assert only_worker(before) == model, "the model stays loaded"
    assert eventually(lambda: not any(map(is_alive, hurt)))


def test_a_recogniser_is_renewed_before_it_has_grown_large(
    before: set[int], lone: VoskEngine, long_recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = lone.transcribe(TranscribeRequest(), long_recording, lambda _: None, Event())
    monkeypatch.setattr(recogniser, "RENEWED_AFTER", 30.0)
    model = only_worker(before)
    seen: set[int] = set()
    over = Event()

    def look() -> None:
        while not over.wait(0.01):
            seen.update(task_pids(model))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        again = lone.transcribe(TranscribeRequest(), long_recording, lambda _: None, Event())
    finally:
        over.set()
        looking.join()
    assert len(seen) > 3, "one that reads, and several that recognise"
    assert again.text == usual.text
    assert eventually(lambda: not any(map(is_alive, seen)))


def test_a_piece_that_fails_twice_is_named_by_its_time(
    before: set[int], lone: VoskEngine, long_recording: Path, texts: dict[str, str]
) -> None:
    lone.load()
    model = only_worker(before)
    over = Event()

    def kill_all() -> None:
        while not over.is_set():
            for pid in task_pids(model):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSEGV)

    running = Running(lone, long_recording)
    running.until_started()
    killer = threading.Thread(target=kill_all)
    killer.start()
    running.seconds_to_end()
    over.set()
    killer.join()
    assert isinstance(running.error, EngineCrashed)
    assert "signal 11" in str(running.error)
    assert words(lone) == texts["sentence.ogg"]
    assert only_worker(before) == model


def test_a_file_outlives_the_models_process(before: set[int], lone: VoskEngine, texts: dict[str, str]) -> None:
    lone.load()
    pid = only_worker(before)
    os.kill(pid, signal.SIGKILL)
    assert words(lone) == texts["sentence.ogg"]
    assert only_worker(before) != pid
    assert eventually(lambda: not is_alive(pid))


@pytest.mark.parametrize("listens", [True, False])
def test_cancel_frees_the_core_within_a_second(
    before: set[int], lone: VoskEngine, long_recording: Path, texts: dict[str, str], *, listens: bool
) -> None:
    running = Running(lone, long_recording)
    running.until_started()
    model = only_worker(before)
    children = task_pids(model)
    if not listens:
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
    running.cancel.set()
    assert running.seconds_to_end() < 1
    assert isinstance(running.error, Cancelled)
    assert eventually(lambda: not any(map(is_alive, children)), 1)
    assert words(lone) == texts["sentence.ogg"]
    assert only_worker(before) == model, "the model stays loaded"


def test_a_short_file_overtakes_a_long_one(lone: VoskEngine, long_recording: Path, texts: dict[str, str]) -> None:
    long = Running(lone, long_recording)
    long.until_started()
    assert words(lone) == texts["sentence.ogg"]
    assert long.error is None
    assert long.result is None, "26 minutes are not done"
    long.cancel.set()
    long.seconds_to_end()


def test_a_piece_is_told_without_what_is_heard_before_it(lone: VoskEngine, long_recording: Path) -> None:
    first, second = itertools.islice(lone.read(long_recording, ahead=2, recognisers=2).cuts(Event()), 2)
    assert second.lead == 3 * 16_000
    whole = lone.transcribe(TranscribeRequest(), long_recording, lambda _: None, Event())
    for cut in (second, first):
        told: list[Message] = []
        # A recogniser each, which so has heard nothing of what is before.
        with closing(cut), lone.recogniser(TranscribeRequest()) as recogniser:
            recogniser.recognise(cut, told.append, Event())
        heard = [word for message in told if message["event"] == "segment" for word in message["words"]]
        words = [word for word in whole.words if cut.begins <= word.start < cut.begins + cut.seconds]
        assert [word["word"] for word in heard] == [word.word for word in words]
        assert [cut.begins + word["start"] for word in heard] == pytest.approx(
            [word.start for word in words], rel=0, abs=0.001
        )


def test_a_long_piece_lets_another_file_have_its_turn(lone: VoskEngine, long_recording: Path) -> None:
    request, stop = TranscribeRequest(), Event()
    long = next(lone.read(long_recording, ahead=1, recognisers=1).cuts(stop))
    short = next(lone.read(DATA / "sentence.wav", ahead=1, recognisers=1).cuts(stop))
    assert long.seconds > 3 * 40
    turn = Event()
    ended: list[str] = []

    def recognise_short() -> None:
        with closing(short), lone.recogniser(request) as recogniser:
            turn.set()
            recogniser.recognise(short, lambda _: None, stop)
        ended.append("short")

    other = threading.Thread(target=recognise_short)

    def on_message(_: Message) -> None:
        if not turn.is_set():
            other.start()
            turn.wait(30)

    with closing(long), lone.recogniser(request) as recogniser:
        recogniser.recognise(long, on_message, stop)
    ended.append("long")
    other.join(30)
    assert ended == ["short", "long"]


def test_cancel_reaches_a_caller_that_waits_for_a_core(before: set[int], long_recording: Path) -> None:
    engine = VoskEngine(MODEL, workers=1)
    try:
        first = Running(engine, long_recording)
        first.until_started()
        # Its core is held: a second file waits for the end of a piece, which does not come.
        os.kill(only_recogniser(only_worker(before)), signal.SIGSTOP)
        second = Running(engine, DATA / "sentence.wav")
        time.sleep(0.2)
        second.cancel.set()
        assert second.seconds_to_end() < 1
        assert isinstance(second.error, Cancelled)
        assert first.error is None
        first.cancel.set()
        first.seconds_to_end()
    finally:
        engine.close()


def test_a_cancel_before_the_start_does_no_work(lone: VoskEngine) -> None:
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        lone.transcribe(TranscribeRequest(), DATA / "sentence.wav", lambda _: None, cancel)


def test_an_exception_of_the_caller_does_not_spoil_the_pool(
    lone: VoskEngine, long_recording: Path, texts: dict[str, str]
) -> None:
    def on_event(_: events.Event) -> None:
        raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        lone.transcribe(TranscribeRequest(), long_recording, on_event, Event())
    assert words(lone) == texts["sentence.ogg"]


def test_close_ends_running_work_and_every_process(before: set[int], long_recording: Path) -> None:
    engine = VoskEngine(MODEL, workers=2)
    running = [Running(engine, long_recording) for _ in range(2)]
    for one in running:
        one.until_started()
    children = task_pids(only_worker(before))
    assert children
    engine.close()
    for one in running:
        assert one.seconds_to_end() < 2
        assert isinstance(one.error, ServiceUnavailable)
    assert worker_pids() <= before
    assert eventually(lambda: not any(map(is_alive, children)))
    engine.close()
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        words(engine)


PARENT = """
import sys, threading
from pathlib import Path
from threading import Event
from engines.speech.vosk_engine import VoskEngine
from engines.requests import TranscribeRequest
engine = VoskEngine(Path(sys.argv[1]), workers=2)
engine.load()
busy = Event()
request, long = TranscribeRequest(), Path(sys.argv[2])
threading.Thread(target=engine.transcribe, args=(request, long, lambda _: busy.set(), Event()), daemon=True).start()
busy.wait()
engine.transcribe(request, Path(sys.argv[3]), lambda _: None, Event())
print("one busy, one idle", flush=True)
Event().wait()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(long_recording: Path, how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(MODEL), str(long_recording), str(DATA / "sentence.ogg")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"one busy, one idle\n"
            (model,) = worker_pids(parent.pid)
            workers = {model, *task_pids(model)}
            assert len(workers) > 1
            parent.send_signal(how)
            parent.wait(10)
        finally:
            parent.kill()
        assert eventually(lambda: not any(map(is_alive, workers)), 5)


def test_a_worker_gets_no_secrets(before: set[int], lone: VoskEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_API_TOKENS", "a-secret-token-of-the-server")
    lone.load()
    environment = (Path("/proc") / str(only_worker(before)) / "environ").read_bytes()
    assert b"secret" not in environment


@pytest.mark.parametrize(("worker", "other"), [(VoskEngine.worker, "onnxruntime"), (OnnxEngine.worker, "vosk")])
def test_a_worker_imports_only_what_it_needs(worker: str, other: str) -> None:
    code = (
        f"import {worker}, sys;"
        f"heavy = {{'torch', 'gradio', 'fastapi', 'app', 'diffusers', '{other}'}} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
