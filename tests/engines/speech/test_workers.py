"""Worker processes under misfortune: each costs at most one request, and none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from engines import events
from engines.errors import Cancelled, EngineCrashed, ServiceUnavailable, StudioError
from engines.requests import TranscribeRequest
from engines.results import Transcript
from engines.speech.process import Timeouts
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MODEL
from tests.engines.speech.processes import eventually, is_alive, worker_pids

ROOT = Path(__file__).parents[3]


class Running:
    """One transcription on a thread of its own, caught in the middle."""

    def __init__(self, engine: VoskEngine, path: Path) -> None:
        self.cancel = Event()
        self.started = Event()
        self.result: Transcript | None = None
        self.error: StudioError | None = None
        self._thread = threading.Thread(target=self._run, args=(engine, path))
        self._thread.start()

    def _run(self, engine: VoskEngine, path: Path) -> None:
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
    """An engine with one worker, for tests that do it harm."""
    engine = VoskEngine(MODEL, workers=1, timeouts=Timeouts(stall=1.5))
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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_costs_one_request(
    before: set[int], lone: VoskEngine, long_recording: Path, texts: dict[str, str], how: signal.Signals
) -> None:
    running = Running(lone, long_recording)
    running.until_started()
    pid = only_worker(before)
    os.kill(pid, how)
    assert running.seconds_to_end() < 5
    assert isinstance(running.error, EngineCrashed)
    assert f"signal {how.value}" in str(running.error)
    assert words(lone) == texts["sentence.ogg"]
    assert only_worker(before) != pid


def test_a_worker_that_dies_between_files_costs_nothing(
    before: set[int], lone: VoskEngine, texts: dict[str, str]
) -> None:
    lone.load()
    pid = only_worker(before)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))
    assert words(lone) == texts["sentence.ogg"]


def test_a_hang_is_ended(before: set[int], lone: VoskEngine, long_recording: Path, texts: dict[str, str]) -> None:
    running = Running(lone, long_recording)
    running.until_started()
    pid = only_worker(before)
    os.kill(pid, signal.SIGSTOP)
    assert 1 < running.seconds_to_end() < 10
    assert isinstance(running.error, EngineCrashed)
    assert "no progress" in str(running.error)
    assert not is_alive(pid)
    assert words(lone) == texts["sentence.ogg"]


def test_cancel_frees_the_worker_within_a_second(
    before: set[int], lone: VoskEngine, long_recording: Path, texts: dict[str, str]
) -> None:
    running = Running(lone, long_recording)
    running.until_started()
    pid = only_worker(before)
    running.cancel.set()
    assert running.seconds_to_end() < 1.5
    assert isinstance(running.error, Cancelled)
    # A worker that lets go by itself keeps its model: nothing is loaded again.
    assert only_worker(before) == pid
    assert words(lone) == texts["sentence.ogg"]


def test_cancel_ends_a_worker_that_does_not_listen(
    before: set[int], lone: VoskEngine, long_recording: Path, texts: dict[str, str]
) -> None:
    running = Running(lone, long_recording)
    running.until_started()
    pid = only_worker(before)
    os.kill(pid, signal.SIGSTOP)
    running.cancel.set()
    assert running.seconds_to_end() < 1.5
    assert isinstance(running.error, Cancelled)
    assert not is_alive(pid)
    assert words(lone) == texts["sentence.ogg"]


def test_cancel_reaches_a_caller_that_waits_for_a_worker(lone: VoskEngine, long_recording: Path) -> None:
    first = Running(lone, long_recording)
    first.until_started()
    second = Running(lone, DATA / "sentence.wav")
    time.sleep(0.2)
    second.cancel.set()
    assert second.seconds_to_end() < 1
    assert isinstance(second.error, Cancelled)
    assert first.error is None
    first.cancel.set()
    first.seconds_to_end()


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


def test_workers_are_replaced_after_their_share(before: set[int], texts: dict[str, str]) -> None:
    engine = VoskEngine(MODEL, workers=1, recycle_after=2)
    try:
        seen = []
        for _ in range(5):
            assert words(engine) == texts["sentence.ogg"]
            seen.append(only_worker(before))
        assert len(set(seen)) == 3
    finally:
        engine.close()
    assert worker_pids() <= before


def test_close_ends_running_work_and_every_process(before: set[int], long_recording: Path) -> None:
    engine = VoskEngine(MODEL, workers=2)
    running = [Running(engine, long_recording) for _ in range(2)]
    for one in running:
        one.until_started()
    assert len(worker_pids() - before) == 2
    engine.close()
    for one in running:
        assert one.seconds_to_end() < 2
        assert isinstance(one.error, ServiceUnavailable)
    assert worker_pids() <= before
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
            workers = worker_pids(parent.pid)
            assert len(workers) == 2
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


def test_a_worker_imports_only_what_it_needs() -> None:
    code = (
        "import engines.speech.worker, sys;"
        "heavy = {'torch', 'gradio', 'fastapi', 'app', 'diffusers', 'numpy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
