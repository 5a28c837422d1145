"""A multipart form with one file, read as it comes in: the file goes to disk, so its size costs no memory."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from app.concurrency import run_blocking
from app.job_types import StorageFailed
from app.limits import BodyTooLarge
from engines.errors import Cancelled, InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELDS = 32
MAX_FIELD_BYTES = 64 * 1024
MAX_FILENAME_CHARS = 200

HOW_TO_SEND = "Send the recording as the field `file` of a multipart/form-data body."
DAMAGED = f"The multipart body is damaged or ends too early. {HOW_TO_SEND}"


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

    `max_bytes` is for the file alone; `tmp_dir` None means the system's. Raises InvalidRequest, BodyTooLarge, and
    Cancelled when the client hangs up.
    """
    with _temporary_file(tmp_dir) as file:
        form = _Form(max_bytes)
        try:
            await _read(request, form, file)
        except (InvalidRequest, BodyTooLarge, StorageFailed):
            await read_to_end(request)
            raise
        except ClientDisconnect as error:
            raise Cancelled("The client hung up during the upload.") from error
        if form.filename is None:
            raise InvalidRequest("file", f"The field `file` is missing or is no file. {HOW_TO_SEND}")
        yield Upload(Path(file.name), form.filename, form.fields)


async def read_to_end(request: Request) -> None:
    """Throw away what the client is still sending (up to the body limit), or it may see a reset and not our answer."""
    # A RuntimeError is how the framework says that all has been read already.
    with contextlib.suppress(ClientDisconnect, RuntimeError):
        async for _ in request.stream():
            pass


async def _read(request: Request, form: _Form, file: IO[bytes]) -> None:
    boundary = _boundary(request)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            if form.unwritten:
                await run_blocking(file.write, bytes(form.unwritten))
                form.unwritten.clear()
        await run_blocking(file.flush)
    except FormParserError as error:
        raise InvalidRequest("file", DAMAGED) from error
    except OSError as error:
        raise StorageFailed("The upload could not be written to this server's disk; it may be full.") from error
    if not form.complete:
        raise InvalidRequest("file", DAMAGED)


@dataclass(slots=True)
class _Part:
    """The part of the body that is being read."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    header_name: bytes = b""
    header_value: bytes = b""
    name: str = ""
    is_file: bool = False
    value: bytearray = field(default_factory=bytearray)


class _Form:
    """Takes the parser's events. They are synchronous, so file bytes wait in `unwritten` for a thread to write them."""

    def __init__(self, max_bytes: int) -> None:
        self.fields: dict[str, list[str]] = {}
        self.filename: str | None = None
        self.complete = False
        """The closing boundary was there."""
        self.unwritten = bytearray()
        self._part = _Part()
        self._max_bytes = max_bytes
        self._file_bytes = 0
        self._parts = 0

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
            raise InvalidRequest("file", f"The form has more than {MAX_FIELDS} fields: send fewer.")

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
        if part.name != "file":
            raise InvalidRequest(part.name, f"The field {part.name[:40]!r} must not be a file. {HOW_TO_SEND}")
        if self.filename is not None:
            raise InvalidRequest("file", "The form has more than one file: send one a request.")
        self.filename = _clean(options[b"filename"].decode(errors="replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._file_bytes += end - start
            if self._file_bytes > self._max_bytes:
                raise BodyTooLarge(self._max_bytes)
            self.unwritten += data[start:end]
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


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    # A longer boundary than the RFC's 70 characters would only be there to slow the parser down.
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 70:
        shown = request.headers.get("content-type", "none")[:60]
        raise InvalidRequest("file", f"The body's Content-Type is {shown!r}. {HOW_TO_SEND}")
    return boundary


@contextlib.contextmanager
def _temporary_file(folder: Path | None) -> Iterator[IO[bytes]]:
    with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False) as file:
        try:
            yield file
        finally:
            # Whoever took the file over may have moved it away.
            Path(file.name).unlink(missing_ok=True)


def _clean(filename: str) -> str:
    name = PurePosixPath(filename.replace("\\", "/")).name
    return "".join(char for char in name if char.isprintable())[:MAX_FILENAME_CHARS]
