"""What a process of the studio may log: what went wrong and where, never what a user wrote.

The text of an exception or a warning often has a prompt, a file name or a token in it, and libraries log it as it
comes. So it is left out here, for all of them at once.
"""

from __future__ import annotations

import logging
import threading
import traceback
import warnings
from typing import Any, TextIO

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger(__name__)


def set_up_logging() -> None:
    """Everything that this process logs, from warnings up, goes to stderr in this module's words. Call it once."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrivateFormatter(FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    threading.excepthook = _log_dead_thread
    warnings.showwarning = _log_warning


class PrivateFormatter(logging.Formatter):
    """Tells of an exception which kind it is and where it came from, without its text."""

    def format(self, record: logging.LogRecord) -> str:
        # Another handler's formatter may have left the whole text there.
        record.exc_text = None
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name for it
        return "\n".join(_lines(ei[1]))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name for it
        # In further lines asyncio repeats the objects that were involved, exceptions with their text among them.
        if record.name == "asyncio":
            record.message = record.message.partition("\n")[0]
        return super().formatMessage(record)


def _lines(error: BaseException | None) -> list[str]:
    """The error's kind and place, then those of what it came from."""
    if error is None:
        return []
    places = "".join(traceback.format_tb(error.__traceback__)).rstrip().splitlines()
    lines = [f"{type(error).__module__}.{type(error).__qualname__} (its text is not logged), most recent call last:"]
    lines += places
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        lines += _lines(part)
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines + _lines(earlier)


def _log_dead_thread(args: threading.ExceptHookArgs) -> None:
    name = "a thread" if args.thread is None else f"thread {args.thread.name}"
    log.error("%s ended with an error", name, exc_info=args.exc_value)


def _log_warning(
    message: Warning | str,  # noqa: ARG001 - its text is what must not be logged
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - the hook's signature
    line: str | None = None,  # noqa: ARG001
) -> None:
    log.warning("%s at %s:%d", category.__name__, filename, lineno)
