"""What a person or a client is told when something goes wrong: one plain sentence, never a traceback."""

from __future__ import annotations

import html
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from engines.errors import StudioError

log = logging.getLogger(__name__)

UNEXPECTED = "Something went wrong inside the studio. The server's log tells more."


def plain_error(text: str) -> gr.Error:
    """For clients of the named endpoints: the text as it is."""
    return gr.Error(text, print_exception=False)


def toast(text: str) -> gr.Error:
    """For the page, which renders a toast's text as HTML."""
    return gr.Error(html.escape(text, quote=False), print_exception=False, title="That did not work")


@contextmanager
def plain_errors(*, page: bool = True) -> Iterator[None]:
    """Turn whatever an event raises into a sentence: the border between the studio and Gradio."""
    show = toast if page else plain_error
    try:
        yield
    except gr.Error:
        raise
    except StudioError as error:
        raise show(str(error)) from error
    except Exception as error:
        # The one broad catch of the page: Gradio would show a client nothing at all, or the exception's own text.
        log.exception("an event of the page failed")
        raise show(UNEXPECTED) from error
