"""The process that pictures are made in: `python -m engines.sdxl.worker`, with a Unix socket as standard input.

Its imports take as long as the studio's own and go on beside them; native code that dies here, or a GPU that only
another process can use again, costs one attempt at one picture. What it is told and says is in messages.py. It works
on one thing at a time; another thread hears what it is told meanwhile, and ends it when the studio is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from engines import logs
from engines.errors import StudioError
from engines.protocols import ImageEngine
from engines.requests import ImageRequest
from engines.sdxl.messages import DEVICE_LOST, send_device, send_error, send_event, send_loaded, send_result
from engines.wire import Channel, Message

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1

KILLED_FIRST = "500"
"""Of -1000 to 1000: where the machine's memory runs out, the kernel takes this process and not the studio."""


def main() -> None:
    faulthandler.enable()
    channel = open_channel()

    def open_engine(message: Message) -> ImageEngine:
        from engines.sdxl.engine import SdxlEngine
        from engines.weights.registry import read_registry
        from engines.weights.store import ModelStore

        store = ModelStore(Path(message["models"]), read_registry(Path(message["registry"])))
        return SdxlEngine(message["model"], message["device"], store=store)

    server = Server(channel, open_engine, _device_works)
    server.listen()
    try:
        _prepare(channel)
    except Exception:
        log.exception("what pictures need could not be imported")
        os._exit(1)
    server.run()


def open_channel() -> Channel:
    """The socket, for a process that ends with its studio and never before."""
    # Native code that prints must not get between two messages, nor a library's questions read them.
    end = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    # A service manager's stop reaches every process of the service, while the studio still finishes its work.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        # The listening thread ends it too, unless native code holds the interpreter.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(KILLED_FIRST)
    logs.set_up_logging()
    # For downloaded weights.
    os.umask(0o077)
    return Channel(end)


def _prepare(channel: Channel) -> None:
    """Import what a load needs, before the studio says what to load."""
    from engines.devices import accelerator_possible, find_device
    from engines.sdxl.libraries import import_libraries

    if accelerator_possible():
        send_device(channel, find_device())
    import_libraries()


def _device_works(device: str) -> bool:
    import torch

    try:
        torch.zeros(1, device=device).add_(1).item()
    except RuntimeError:
        return False
    return True


class Server:
    """Does what it is told with an engine."""

    def __init__(
        self, channel: Channel, open_engine: Callable[[Message], ImageEngine], device_works: Callable[[str], bool]
    ) -> None:
        """`open_engine` is given the first "load"; `device_works` tells whether a device is still of use after an error
        that nobody expected."""
        self._channel = channel
        self._open_engine = open_engine
        self._device_works = device_works
        self._engine: ImageEngine | None = None
        self._told: SimpleQueue[tuple[Message, Event]] = SimpleQueue()

    def listen(self) -> None:
        """Begin to hear what the studio says, and whether it is there."""
        threading.Thread(target=self._listen, daemon=True, name="listening").start()

    def run(self) -> None:
        """Work for as long as the studio is there."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while True:
                self._do(*self._told.get())
        os._exit(0)

    def _listen(self) -> None:
        cancel = Event()
        while (message := self._channel.receive()) is not None:
            if message["do"] == "cancel":
                cancel.set()
            else:
                cancel = Event()
                self._told.put((message, cancel))
        # Not sys.exit: nothing is left to clean up, and the other thread may be deep in native code.
        os._exit(0)

    def _do(self, message: Message, cancel: Event) -> None:
        try:
            if message["do"] == "load":
                self._load(message)
            else:
                self._generate(message, cancel)
        except StudioError as error:
            send_error(self._channel, error)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            log.exception("pictures failed")
            if self._engine is not None and not self._device_works(self._engine.info.device):
                log.error("the device %s is lost to this process, which ends", self._engine.info.device)
                os._exit(DEVICE_LOST)
            send_error(self._channel, error)

    def _load(self, message: Message) -> None:
        if self._engine is None:
            self._engine = self._open_engine(message)
        self._engine.load(lambda progress: send_event(self._channel, progress))
        send_loaded(self._channel)

    def _generate(self, message: Message, cancel: Event) -> None:
        assert self._engine is not None, "the studio loads first"
        photo = message["photo"]
        result = self._engine.generate(
            ImageRequest.model_validate(message["request"]),
            None if photo is None else Path(photo),
            lambda event: send_event(self._channel, event),
            cancel,
        )
        send_result(self._channel, result)


if __name__ == "__main__":
    main()
