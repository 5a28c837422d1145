"""Messages between the studio and its processes: JSON lines over a Unix socket, some with an open file.

A file goes along as a descriptor, so that a minute of sound or a picture changes hands without being copied through the
socket. JSON and not pickle: what reads strangers' files must not be able to make the studio run code.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from collections import deque
from collections.abc import Iterable
from typing import IO, Any

Message = dict[str, Any]

READ_BYTES = 65_536
FILES_AT_ONCE = 16
"""Room for descriptors in one read; a sender attaches at most one to a line."""

FILE_MARK = "file"
"""The key that says a descriptor comes with this line."""

FORK, THREADS = "fork", "threads"
"""How the model's process works on its tasks; see worker.py."""


def way_to_work(platform: str) -> str:
    """FORK or THREADS. `platform`: sys.platform."""
    return THREADS if platform == "darwin" else FORK


class Channel:
    """One end of a socket. One thread may send while another receives."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._pending = bytearray()
        self._files: deque[int] = deque()
        self._messages: deque[Message] = deque()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Message, file: int | None = None) -> None:
        """Raises OSError (BrokenPipeError and its kind) when the other end is gone."""
        if file is None:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
            return
        line = json.dumps({**message, FILE_MARK: True}).encode() + b"\n"
        sent = socket.send_fds(self._socket, [line], [file])
        self._socket.sendall(line[sent:])

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next message, {} when none came within `timeout` seconds, None when the other end is gone.

        A file that comes with it is under FILE_MARK, a descriptor that the caller closes.
        """
        while not self._messages:
            self._socket.settimeout(timeout)
            try:
                data, files, *_ = socket.recv_fds(self._socket, READ_BYTES, FILES_AT_ONCE)
            except TimeoutError:
                return {}
            except OSError:
                return None
            finally:
                # Sending waits as long as it takes: the other end reads, or is ended.
                with contextlib.suppress(OSError):
                    self._socket.settimeout(None)
            for file in files:
                os.set_inheritable(file, False)
            self._files.extend(files)
            if not data:
                return None
            self._take(data)
        return self._messages.popleft()

    def close(self) -> None:
        """Close the socket and every file that nobody took."""
        # Wakes a thread that reads; closing alone would not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        while self._files:
            os.close(self._files.popleft())
        for message in self._messages:
            if FILE_MARK in message:
                os.close(message[FILE_MARK])
        self._messages.clear()

    def _take(self, data: bytes) -> None:
        self._pending += data
        # A process that is killed while it writes leaves half a line: it is never handed on.
        *lines, rest = self._pending.split(b"\n")
        self._pending = bytearray(rest)
        for line in lines:
            message: Message = json.loads(line)
            if FILE_MARK in message:
                message[FILE_MARK] = self._files.popleft()
            self._messages.append(message)


def file_of(blocks: Iterable[bytes]) -> IO[bytes]:
    """A file without a name that holds `blocks`; in memory where the system can."""
    file: IO[bytes]
    if hasattr(os, "memfd_create"):  # noqa: SIM108 - one line would be too long
        file = os.fdopen(os.memfd_create("blocks"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's to close
    file.writelines(blocks)
    file.flush()
    return file
