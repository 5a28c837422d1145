"""A multipart form with one file, read as it comes in: the file goes to disk, so its size costs no memory."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from app.concurrency import run_blocking
from app.http.middleware.limits import BodyTooLarge
from app.jobs.model import StorageFailed
from engines.errors import Cancelled, InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELDS = 32
MAX_FIELD_BYTES = 64 * 1024
MAX_FILENAME_CHARS = 200

Opener = Callable[[str], IO[bytes]]
"""Opens the file for a part's bytes, given the client's name for it: the base name alone, and printable."""

OnBytes = Callable[[str, bytes], None]
"""Hears of every piece of a file as it comes, with the file's name."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A form whose `file` lies at `path`. `fields` has every other field's values, in order."""

    path: Path
    filename: str
    """The client's name for the file, without folders: for messages, never for opening anything."""
    fields: dict[str, list[str]]


@contextlib.asynccontextmanager
async def receive_upload(request: Request, *, max_bytes: int, tmp_dir: Path | None = None) -> AsyncIterator[Upload]:
    """Read the form of `request`; its file exists until the end of the block, whatever happens in it.

    `max_bytes` is for the file alone; `tmp_dir` None means the system's. Raises as `receive_form` does.
    """
    with contextlib.ExitStack() as opened:
        file: IO[bytes] | None = None

        def open_file(_: str) -> IO[bytes]:
            nonlocal file
            file = opened.enter_context(_temporary_file(tmp_dir))
            return file

        form = await receive_form(request, field="file", max_files=1, max_bytes=max_bytes, open_file=open_file)
        if file is None:
            raise InvalidRequest("file", f"The field `file` is missing or is no file. {_how_to_send('file')}")
        yield Upload(Path(file.name), form.filenames[0], form.fields)


async def receive_form(
    request: Request,
    *,
    field: str,
    max_files: int,
    max_bytes: int,
    open_file: Opener,
    on_bytes: OnBytes | None = None,
) -> Form:
    """Read a multipart form of at most `max_files` files, each a part named `field` of at most `max_bytes`.

    Each goes to what `open_file` gives for it, and is flushed, not closed. Raises InvalidRequest, BodyTooLarge,
    StorageFailed, and Cancelled when the client hangs up.
    """
    form = Form(field, max_files, max_bytes, open_file, on_bytes)
    try:
        await _read(request, form)
    except (InvalidRequest, BodyTooLarge, StorageFailed):
        await read_to_end(request)
        raise
    except ClientDisconnect as error:
        raise Cancelled("The client hung up during the upload.") from error
    return form


async def read_to_end(request: Request) -> None:
    """Throw away what the client is still sending (up to the body limit), or it may see a reset and not our answer."""
    # A RuntimeError is how the framework says that all has been read already.
    with contextlib.suppress(ClientDisconnect, RuntimeError):
        async for _ in request.stream():
            pass


async def _read(request: Request, form: Form) -> None:
    boundary = _boundary(request, form.field)
    damaged = f"The multipart body is damaged or ends too early. {_how_to_send(form.field)}"
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            if form.unwritten:
                await run_blocking(form.write_out)
        await run_blocking(form.flush)
    except FormParserError as error:
        raise InvalidRequest(form.field, damaged) from error
    except OSError as error:
        raise StorageFailed("The upload could not be written to this server's disk; it may be full.") from error
    if not form.complete:
        raise InvalidRequest(form.field, damaged)


@dataclass(slots=True)
class _Part:
    """The part of the body that is being read."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    header_name: bytes = b""
    header_value: bytes = b""
    name: str = ""
    is_file: bool = False
    value: bytearray = field(default_factory=bytearray)


class Form:
    """Takes the parser's events. They are synchronous, so file bytes wait for a thread to write them."""

    def __init__(
        self,
        field: str,
        max_files: int,
        max_bytes: int,
        open_file: Opener,
        on_bytes: OnBytes | None,
    ) -> None:
        self.field = field
        self.fields: dict[str, list[str]] = {}
        """Values of the fields that are no files, by name, in order."""
        self.filenames: list[str] = []
        self.complete = False
        """The closing boundary was there."""
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._open_file = open_file
        self._on_bytes = on_bytes
        self._part = _Part()
        self._parts = 0
        self._files: list[IO[bytes]] = []
        self._file_bytes = 0
        self.unwritten: list[tuple[IO[bytes], bytes]] = []

    def write_out(self) -> None:
        """Write what has come. Raises OSError."""
        for file, data in self.unwritten:
            file.write(data)
        self.unwritten.clear()

    def flush(self) -> None:
        """Raises OSError."""
        for file in self._files:
            file.flush()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._part = _Part()
        self._parts += 1
        if self._parts > MAX_FIELDS:
            raise InvalidRequest(self.field, f"The form has more than {MAX_FIELDS} fields: send fewer.")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._part.header_name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.header_value += data[start:end]

    def _header_end(self) -> None:
        self._part.headers[self._part.header_name.lower()] = self._part.header_value
        self._part.header_name = self._part.header_value = b""

    def _headers_finished(self) -> None:
        part = self._part
        _, options = parse_options_header(part.headers.get(b"content-disposition"))
        part.name = options.get(b"name", b"").decode(errors="replace")
        part.is_file = b"filename" in options
        if not part.is_file:
            return
        if part.name != self.field:
            how = _how_to_send(self.field)
            raise InvalidRequest(part.name, f"The field {part.name[:40]!r} must not be a file. {how}")
        if len(self._files) == self._max_files:
            many = "one file" if self._max_files == 1 else f"{self._max_files} files"
            raise InvalidRequest(self.field, f"The form has more than {many}: send {many} a request.")
        self.filenames.append(_clean(options[b"filename"].decode(errors="replace")))
        self._files.append(self._open_file(self.filenames[-1]))
        self._file_bytes = 0

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._file_bytes += end - start
            if self._file_bytes > self._max_bytes:
                raise BodyTooLarge(self._max_bytes)
            self.unwritten.append((self._files[-1], data[start:end]))
            if self._on_bytes:
                self._on_bytes(self.filenames[-1], data[start:end])
            return
        self._part.value += data[start:end]
        if len(self._part.value) > MAX_FIELD_BYTES:
            name = self._part.name[:40]
            raise InvalidRequest(name, f"The field {name!r} is longer than {MAX_FIELD_BYTES // 1024} kB: shorten it.")

    def _end(self) -> None:
        if not self._part.is_file:
            self.fields.setdefault(self._part.name, []).append(self._part.value.decode(errors="replace"))

    def _complete(self) -> None:
        self.complete = True


def _boundary(request: Request, field: str) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    # A longer boundary than the RFC's 70 characters would only be there to slow the parser down.
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 70:
        shown = request.headers.get("content-type", "none")[:60]
        raise InvalidRequest(field, f"The body's Content-Type is {shown!r}. {_how_to_send(field)}")
    return boundary


def _how_to_send(field: str) -> str:
    return (
        f"Send the {'recording' if field == 'file' else 'files'} as the field `{field}` of a multipart/form-data body."
    )


@contextlib.contextmanager
def _temporary_file(folder: Path | None) -> Iterator[IO[bytes]]:
    file = tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False)  # noqa: SIM115 - closed below
    try:
        yield file
    finally:
        close(file)
        # Whoever took the file over may have moved it away.
        Path(file.name).unlink(missing_ok=True)


def close(file: IO[bytes]) -> None:
    """Close a file of a form that may have failed: what a full disk did not take is tried once more here."""
    with contextlib.suppress(OSError):
        file.close()


def _clean(filename: str) -> str:
    name = PurePosixPath(filename.replace("\\", "/")).name
    return "".join(char for char in name if char.isprintable())[:MAX_FILENAME_CHARS]
