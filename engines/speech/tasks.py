"""What the processes of all kinds of models do alike: a child, or a thread, for each task; files that are read and cut.

worker.py describes the tasks and what is said about them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from engines.errors import InvalidMedia
from engines.speech.audio import open_audio
from engines.speech.pieces import Lengths, cut
from engines.wire import FILE_MARK, Channel, Message, file_of

NICE = 5
"""Files give way to live sessions, whose speakers are waiting."""

PR_SET_PDEATHSIG = 1

Work = Callable[[Message, socket.socket, int], None]
"""Does one task to its end, over its socket. The number: samples that the warm-up has heard before.

Raises OSError when the other side of the socket is gone.
"""


def serve_by_threads(control: socket.socket, do: Callable[[Message, socket.socket], None]) -> None:
    """As Server does, without a child. A task that is to end notices by its socket, at its next message.

    `do`: does one task, on a thread of its own; see `status_of` for how it may end.
    """
    channel = Channel(control)
    telling = threading.Lock()

    def told(message: Message) -> None:
        with telling, contextlib.suppress(OSError):
            channel.send(message)

    def run(number: int, task: Message, end: socket.socket) -> None:
        told({"event": "ended", "id": number, "status": status_of(lambda: do(task, end))})
        end.close()

    told({"event": "ready"})
    while (message := channel.receive()) is not None:
        if "task" in message:
            end = socket.socket(fileno=message[FILE_MARK])
            threading.Thread(target=run, args=(message["id"], message["task"], end), daemon=True).start()
    # As the end of a Server: what still works is not waited for.
    os._exit(0)


class Server:
    """Forks a child for each task and tells how it ended."""

    def __init__(
        self, control: socket.socket, do: Work, warming: Iterator[int] | None = None, recognise_nice: int = NICE
    ) -> None:
        """`warming`: does a little of a warm-up at each step, and tells the samples that have been heard for it.
        `recognise_nice`: how far the recognisers of files give way."""
        self._control = control
        self._channel = Channel(control)
        self._do = do
        self._warming = warming
        self._nice = {"live": 0, "recognise": recognise_nice}
        self._heard = 0
        self._children: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def run(self) -> None:
        # A handler has to be there for the wakeup to be written.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        with contextlib.suppress(OSError):
            self._channel.send({"event": "ready"})
            while True:
                # Nobody waits for the warm-up, and it lets no task wait.
                self._warm_up()
                ready, _, _ = select.select([self._control.fileno(), self._woken], [], [], 0 if self._warming else None)
                if self._woken in ready:
                    os.read(self._woken, 4096)
                    self._collect()
                # One select may stand for several messages that came in one read.
                while self._control.fileno() in ready and (message := self._channel.receive(timeout=0.001)) != {}:
                    if message is None:
                        return self._end()
                    self._obey(message)
        return self._end()

    def _warm_up(self) -> None:
        if self._warming is not None:
            heard = next(self._warming, None)
            self._heard, self._warming = (self._heard, None) if heard is None else (heard, self._warming)

    def _obey(self, message: Message) -> None:
        if "task" not in message:
            for pid in [pid for pid, task in self._children.items() if task == message["end"]]:
                os.kill(pid, signal.SIGKILL)
            return
        descriptor: int = message[FILE_MARK]
        pid = os.fork()
        if pid:
            os.close(descriptor)
            self._children[pid] = message["id"]
            return
        status = 1
        try:
            status = status_of(lambda: self._work(message["task"], descriptor))
        finally:
            os._exit(status)

    def _work(self, task: Message, descriptor: int) -> None:
        self._become_child()
        os.nice(self._nice.get(task["kind"], NICE))
        self._do(task, socket.socket(fileno=descriptor), self._heard)

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(self._woken)
        os.close(self._wake)
        # Not shut down, as Channel.close would: it is the parent's too.
        self._control.close()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)

    def _collect(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            self._channel.send({"event": "ended", "id": self._children.pop(pid), "status": code})

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        # Not sys.exit: nothing is left to clean up, and a large model takes its time to be freed.
        os._exit(0)


def status_of(work: Callable[[], None]) -> int:
    """0 for work that came to its end, or that the studio let go of; 1 for what failed."""
    try:
        work()
    except OSError:
        # The other side of its socket is closed.
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, the task ends here
        # Its text and its traceback may hold what somebody said.
        sys.stderr.write(f"A speech task failed: {type(error).__name__}\n")
        return 1
    return 0


def read(task: Message, channel: Channel) -> None:
    """Decode a file and cut it into pieces."""
    ahead: int = task["ahead"]
    lengths = Lengths(*task["lengths"])
    try:
        with open_audio(Path(task["path"])) as audio:
            blocks = audio.blocks(task["max_seconds"])
            for piece in cut(blocks, lengths, lambda: audio.estimate, task["recognisers"]):
                with file_of([piece.lead, piece.sound]) as file:
                    about = {"start": piece.start, "samples": len(piece.sound) // 2, "lead": len(piece.lead) // 2}
                    channel.send({"event": "piece", **about, "estimate": audio.estimate}, file.fileno())
                ahead -= 1
                while ahead <= 0:
                    if channel.receive() is None:
                        return
                    ahead += 1
            channel.send({"event": "done", "duration": audio.seconds, "notes": audio.notes})
    except InvalidMedia as error:
        channel.send({"event": "failed", "field": error.field, "message": str(error)})


def frames(end: socket.socket) -> Iterator[bytes]:
    """A live session's sound as it comes; empty for a flush. Ends by BrokenPipeError, when the studio hangs up."""
    while True:
        yield _exactly(end.recv, int.from_bytes(_exactly(end.recv, 4), "little"))


def _exactly(receive: Callable[[int], bytes], size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = receive(size - len(data))
        if not part:
            raise BrokenPipeError
        data += part
    return bytes(data)
