"""Looks at worker processes from outside, through /proc."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from engines.speech.onnx_engine import OnnxEngine
from engines.speech.vosk_engine import VoskEngine

WORKERS = (VoskEngine.worker, OnnxEngine.worker)


def worker_pids(parent: int | None = None) -> set[int]:
    """The living speech workers that `parent` (this process if None) has started."""
    parent = os.getpid() if parent is None else parent
    return {
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _is_worker(entry, parent)
    }


def task_pids(model: int) -> set[int]:
    """The living children that the model's process `model` has forked for tasks."""
    return worker_pids(model)


def hold_work(parent: int) -> None:
    """Stop the speech workers of `parent` and their tasks where they are: what they work on does not end."""
    for model in worker_pids(parent):
        os.kill(model, signal.SIGSTOP)
        for task in task_pids(model):
            os.kill(task, signal.SIGSTOP)


def is_alive(pid: int) -> bool:
    """False also for a process that has ended and waits to be collected by a parent that never will."""
    try:
        return _state(Path("/proc") / str(pid)) != "Z"
    except OSError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether `condition` becomes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _is_worker(entry: Path, parent: int) -> bool:
    try:
        return (
            f"PPid:\t{parent}\n" in (entry / "status").read_text()
            and any(f"\0{worker}\0".encode() in (entry / "cmdline").read_bytes() for worker in WORKERS)
            and _state(entry) != "Z"
        )
    except OSError:
        return False


def _state(entry: Path) -> str:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0]
