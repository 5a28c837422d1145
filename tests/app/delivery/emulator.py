"""Firestore's emulator as a process, and a way to it that a test can close, slow down and cut."""

from __future__ import annotations

import itertools
import json
import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud.firestore import Client

PROJECT = "demo-studio"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def client_of(address: str) -> Callable[[str], Client]:
    """Connects Google's client to an emulator, whose address it takes from the environment alone."""

    def connect(project: str) -> Client:
        from google.cloud.firestore import Client

        os.environ["FIRESTORE_EMULATOR_HOST"] = address
        try:
            return Client(project)
        finally:
            del os.environ["FIRESTORE_EMULATOR_HOST"]

    return connect


class Emulator:
    """`program` is emulator.mjs beside its packages. What is in it goes with the process."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._marks = 0
        self._lines: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["node", str(self.program), str(self.port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        if self._lines.get(timeout=60) != {"up": True}:
            self.kill()
            raise AssertionError(f"no emulator: run node {self.program} {self.port}")

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put({})

    def writes(self) -> list[tuple[str, int]]:
        """Path and size of each document that it has written since this was asked last."""
        self._marks += 1
        mark = f"marks/{self._marks}"
        client_of(self.address)(PROJECT).document(mark).set({})
        lines = iter(lambda: self._lines.get(timeout=20), {})
        written = ((str(line["path"]), int(str(line["bytes"]))) for line in lines)
        return list(itertools.takewhile(lambda line: line[0] != mark, written))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._lines = queue.SimpleQueue()


class Way:
    """A TCP proxy to `port`. New connections are refused while it is closed."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.delay = 0.0
        """Seconds by which each piece is late, in both directions."""
        self.cuts = 0
        self._left: dict[str, int | None] = {"there": None, "back": None}
        self._sockets: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            # Wakes the thread that waits in accept.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """Break off every connection at once."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
            self._left = {"there": None, "back": None}
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut_after(self, direction: str, size: int) -> None:
        """Break off once so many more bytes went `there` or `back`."""
        with self._lock:
            self._left = {"there": None, "back": None, direction: size}

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                if self._listener is not listener:
                    return
                near.close()
                continue
            with self._lock:
                self._sockets |= {near, far}
            for source, target, direction in ((near, far, "there"), (far, near, "back")):
                threading.Thread(target=self._carry, args=(source, target, direction), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, direction: str) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.delay:
                    time.sleep(self.delay)
                with self._lock:
                    left = self._left[direction]
                    if left is not None:
                        self._left[direction] = left - len(data)
                if left is not None and left <= len(data):
                    target.sendall(data[:left])
                    self.cuts += 1
                    break
                target.sendall(data)
            else:
                # An orderly end goes on to the other side.
                target.shutdown(socket.SHUT_WR)
                return
            self.cut()
