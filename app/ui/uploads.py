"""Gradio's upload route, as the page and Gradio's clients call it: files go into the caller's part of the cache."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from gradio.routes import file_upload_statuses
from gradio_client.utils import strip_invalid_filename_characters
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.http.uploads import OnBytes, close, receive_form
from app.ui.cache import FileCache

MAX_FILES = 16
"""Of one request: what is dropped on the page at once."""


async def receive_files(
    request: Request, files: FileCache, account: str, *, max_bytes: int, upload_id: str | None
) -> JSONResponse:
    """Keep the form's `files`, of at most `max_bytes` each, and answer with their paths.

    `upload_id` is where Gradio's progress route looks for this upload. Raises as `receive_form` does, and keeps
    nothing then.
    """
    paths: list[Path] = []
    with contextlib.ExitStack() as opened, contextlib.ExitStack() as after_failure, _told(upload_id) as on_bytes:

        def open_file(filename: str) -> IO[bytes]:
            folder = files.new_folder(account)
            after_failure.callback(shutil.rmtree, folder, ignore_errors=True)
            paths.append(folder / _safe(filename))
            file = paths[-1].open("wb")
            opened.callback(close, file)
            return file

        await receive_form(
            request, field="files", max_files=MAX_FILES, max_bytes=max_bytes, open_file=open_file, on_bytes=on_bytes
        )
        after_failure.pop_all()
    return JSONResponse([str(path) for path in paths])


def _safe(filename: str) -> str:
    """A name that every part of Gradio takes: it refuses hidden files."""
    return str(strip_invalid_filename_characters(filename.lstrip("."))) or "file"


@contextlib.contextmanager
def _told(upload_id: str | None) -> Iterator[OnBytes | None]:
    """Tells Gradio's progress route what comes, until the end of the block."""
    if upload_id is None:
        yield None
        return
    file_upload_statuses.track(upload_id)
    try:
        yield partial(file_upload_statuses.append, upload_id)
    finally:
        file_upload_statuses.set_done(upload_id)
