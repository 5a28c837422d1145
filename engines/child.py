"""A process of this project's own, beside the studio: started, spoken to, missed when it ends, and ended.

Its standard input is a Unix socket (see wire.py). When that closes, the studio is gone, and the process ends by itself.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from engines.errors import EngineCrashed
from engines.wire import Channel, Message

ROOT = str(Path(__file__).parents[1])

Spawned = tuple["subprocess.Popen[bytes]", socket.socket]


def spawn(module: str, *arguments: str, environment: Mapping[str, str]) -> Spawned:
    """A process that runs `python -m module`, and this end of its socket. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs, contextlib.ExitStack() as undo:
        undo.callback(ours.close)
        process = subprocess.Popen(
            # -P: what lies in the folder where the studio was started is not imported.
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            env={**environment, "PYTHONPATH": ROOT},
            # Ctrl-C in a terminal goes to the whole group, and would take the process from under a draining server.
            start_new_session=True,
        )
        undo.pop_all()
    return process, ours


def how_it_ended(code: int) -> str:
    """The end of a sentence that begins with the process."""
    return f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"


class Child:
    """One process. One thread at a time talks with it; `end` may come from any."""

    def __init__(self, spawning: Callable[[], Spawned]) -> None:
        """Raises EngineCrashed where the system has no room for a process."""
        spawned: SimpleQueue[Any] = SimpleQueue()
        # Linux ends a child with the thread that made it, not with the process, so that thread has to stay.
        self._keeper = threading.Thread(target=_keep, args=(spawning, spawned), daemon=True, name="keeper")
        self._keeper.start()
        made = spawned.get()
        if isinstance(made, OSError):
            raise EngineCrashed(f"No process could be started for an engine ({made.strerror}): free some memory.")
        self._process: subprocess.Popen[bytes]
        self._process, end = made
        self._channel = Channel(end)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._keeper.is_alive()

    def send(self, message: Message) -> None:
        """A process that is gone does not hear it; `receive` tells of that."""
        with contextlib.suppress(OSError):
            self._channel.send(message)

    def receive(self, timeout: float) -> Message | None:
        """What it says next, {} for nothing within `timeout` seconds, None when it is gone."""
        return self._channel.receive(timeout)

    def end(self) -> int:
        """End it, whatever it is doing, and tell how it ended: a status, or minus a signal's number."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._keeper.join()
        return self._process.returncode

    def close(self) -> None:
        """Close the socket, for whoever talked with it last."""
        self._channel.close()


def _keep(spawning: Callable[[], Spawned], spawned: SimpleQueue[Any]) -> None:
    try:
        made = spawning()
    except OSError as error:
        spawned.put(error)
        return
    spawned.put(made)
    made[0].wait()
