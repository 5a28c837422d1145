"""A multipart form with one file, read as it comes in: the file goes to disk, so its size costs no memory."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from app.concurrency import run_blocking
from app.http.middleware.limits import BodyTooLarge
from app.jobs.errors import StorageFailed
from engines.errors import Cancelled, InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FORM_BYTES = 256 * 1024
"""Room in a body for a form's other fields and boundaries, beside the file."""

MAX_FIELDS = 32
MAX_FIELD_BYTES = 64 * 1024
MAX_FILENAME_CHARS = 200
MAX_SHOWN_NAME = 40
"""Characters of a field's name that a message repeats."""

Opener = Callable[[str], IO[bytes]]
"""Opens the file for a part's bytes, given the client's name for it: the base name alone, and printable."""

OnBytes = Callable[[str, bytes], None]
"""Hears of every piece of a file as it comes, with the file's name."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A form and its file, which lies at `path`, closed, so that it may be moved away; None without a file."""

    path: Path | None
    field: str
    """Under which of the wanted names the file came; "" without one."""
    filename: str
    """The client's name for the file, without folders: for messages, never for opening anything."""
    size: int
    """In bytes."""
    sha256: str
    """Of the file, 64 hexadecimal digits; "" without one."""
    fields: dict[str, list[str]]
    """Every other field's values, in order."""

    def last(self, name: str) -> str:
        """The last value of the field `name`; "" if there is none."""
        return self.fields.get(name, [""])[-1]

    def unknown(self, known: Collection[str]) -> tuple[str, ...]:
        """Names of fields that came with a value and are not `known`, shortened for a message."""
        return tuple(name[:MAX_SHOWN_NAME] for name, values in self.fields.items() if name not in known and any(values))


@contextlib.asynccontextmanager
async def receive_upload(
    request: Request,
    *,
    field: str | tuple[str, ...] = "file",
    required: bool = True,
    max_bytes: int,
    tmp_dir: Path | None = None,
    refused: Mapping[str, str] | None = None,
) -> AsyncIterator[Upload]:
    """Read the form of `request`; its file is deleted at the end of the block, unless it was moved away.

    The file is the part named `field`, or one of these: a form may tell only after its file what it is for. Without one
    InvalidRequest is raised, unless it is not `required`. `max_bytes` is for the file alone; `tmp_dir` None means the
    system's; `refused` has the reasons why files of other names are not taken. Raises as `receive_form` does.
    """
    with contextlib.ExitStack() as opened:

        def open_file(_: str) -> IO[bytes]:
            return opened.enter_context(_temporary_file(tmp_dir))

        form = await receive_form(
            request, field=field, max_files=1, max_bytes=max_bytes, open_file=open_file, refused=refused
        )
        if form.files:
            part = form.files[0]
            close(part.file)
            path = Path(part.file.name)
            yield Upload(path, part.name, part.filename, part.size, part.sha256.hexdigest(), form.fields)
        elif required:
            raise InvalidRequest(form.field, f"The field `{form.field}` is missing or is no file. {form.how_to_send}")
        else:
            yield Upload(None, "", "", 0, "", form.fields)


async def receive_form(
    request: Request,
    *,
    field: str | tuple[str, ...],
    max_files: int,
    max_bytes: int,
    open_file: Opener,
    on_bytes: OnBytes | None = None,
    refused: Mapping[str, str] | None = None,
) -> Form:
    """Read a multipart form of at most `max_files` files, each a part named `field`, or one of these, of at most
    `max_bytes`.

    Each goes to what `open_file` gives for it, and is flushed, not closed. Raises InvalidRequest, BodyTooLarge,
    StorageFailed, and Cancelled when the client hangs up.
    """
    names = (field,) if isinstance(field, str) else field
    form = Form(names, max_files, max_bytes, open_file, on_bytes, refused or {})
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
    boundary = _boundary(request, form)
    damaged = f"The multipart body is damaged or ends too early. {form.how_to_send}"
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


@dataclass(slots=True)
class FilePart:
    """A file that comes with a form: its field's name, its client's, where it goes, and what has come so far."""

    name: str
    filename: str
    file: IO[bytes]
    size: int = 0
    sha256: hashlib._Hash = field(default_factory=hashlib.sha256)


class Form:
    """Takes the parser's events. They are synchronous, so file bytes wait for a thread to write them."""

    def __init__(
        self,
        names: tuple[str, ...],
        max_files: int,
        max_bytes: int,
        open_file: Opener,
        on_bytes: OnBytes | None,
        refused: Mapping[str, str],
    ) -> None:
        self.field = names[0]
        """The name that errors give."""
        what = "file" if max_files == 1 else "files"
        where = " or ".join(f"`{name}`" for name in names)
        self.how_to_send = f"Send the {what} as the field {where} of a multipart/form-data body."
        self.fields: dict[str, list[str]] = {}
        """Values of the fields that are no files, by name, in order."""
        self.files: list[FilePart] = []
        self.complete = False
        """The closing boundary was there."""
        self._names = names
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._open_file = open_file
        self._on_bytes = on_bytes
        self._refused = refused
        self._part = _Part()
        self._parts = 0
        self.unwritten: list[tuple[FilePart, bytes]] = []

    def write_out(self) -> None:
        """Write what has come. Raises OSError."""
        for part, data in self.unwritten:
            part.file.write(data)
            part.sha256.update(data)
        self.unwritten.clear()

    def flush(self) -> None:
        """Raises OSError."""
        for part in self.files:
            part.file.flush()

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
        disposition = part.headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        part.name = options.get(b"name", b"").decode(errors="replace")
        plain = options.get(b"filename")
        filename = _extended_filename(disposition) if plain is None else plain.decode(errors="replace")
        part.is_file = filename is not None
        if filename is None:
            return
        if part.name not in self._names:
            name = part.name[:MAX_SHOWN_NAME]
            reason = self._refused.get(part.name, f"The field {name!r} must not be a file. {self.how_to_send}")
            raise InvalidRequest(part.name, reason)
        if len(self.files) == self._max_files:
            many = "one file" if self._max_files == 1 else f"{self._max_files} files"
            raise InvalidRequest(self.field, f"The form has more than {many}: send {many} a request.")
        filename = _clean(filename)
        self.files.append(FilePart(part.name, filename, self._open_file(filename)))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            part = self.files[-1]
            part.size += end - start
            if part.size > self._max_bytes:
                raise BodyTooLarge(self._max_bytes)
            self.unwritten.append((part, data[start:end]))
            if self._on_bytes:
                self._on_bytes(part.filename, data[start:end])
            return
        self._part.value += data[start:end]
        if len(self._part.value) > MAX_FIELD_BYTES:
            name = self._part.name[:MAX_SHOWN_NAME]
            raise InvalidRequest(name, f"The field {name!r} is longer than {MAX_FIELD_BYTES // 1024} kB: shorten it.")

    def _end(self) -> None:
        if not self._part.is_file:
            self.fields.setdefault(self._part.name, []).append(self._part.value.decode(errors="replace"))

    def _complete(self) -> None:
        self.complete = True


def _boundary(request: Request, form: Form) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    # A longer boundary than the RFC's 70 characters would only be there to slow the parser down.
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 70:
        shown = request.headers.get("content-type", "none")[:60]
        raise InvalidRequest(form.field, f"The body's Content-Type is {shown!r}. {form.how_to_send}")
    return boundary


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


EXTENDED = re.compile(rb";\s*filename\*\s*=\s*\"?([\w-]*)'[^';]*'([^\s;\"]*)", re.IGNORECASE)


def _extended_filename(disposition: bytes) -> str | None:
    """The file name in the form of RFC 5987, as in filename*=UTF-8''%e2%82%ac.wav; None if there is none.

    RFC 7578 (section 4.2) wants none in forms, so the parser passes it over, but older clients send it alone.
    """
    match = EXTENDED.search(disposition)
    if match is None:
        return None
    # The RFC knows two character sets. Every byte is a character of the second.
    latin = match[1].lower() == b"iso-8859-1"
    return unquote_to_bytes(match[2]).decode("latin-1" if latin else "utf-8", errors="replace")


def _clean(filename: str) -> str:
    name = PurePosixPath(filename.replace("\\", "/")).name
    return "".join(char for char in name if char.isprintable())[:MAX_FILENAME_CHARS]
