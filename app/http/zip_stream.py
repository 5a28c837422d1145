"""An archive of many files, sent while it is made: nothing of it lies on this machine's disk or in its memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import RawIOBase
from pathlib import Path

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive: its path there, when it was made, where it lies or what is in it, and its size."""

    name: str
    made: datetime
    content: Path | bytes
    size: int


def zip_stream(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The archive in pieces. May wait for the disk. A file that has been deleted since ends it, unfinished: no client
    takes that for the whole."""
    out = _Pieces()
    names: set[str] = set()
    # Stored, not compressed: pictures and sound do not get smaller.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(_unused(entry.name, names), entry.made.timetuple()[:6])
            info.external_attr = 0o600 << 16
            info.file_size = entry.size
            with archive.open(info, "w") as target:
                if isinstance(entry.content, bytes):
                    target.write(entry.content)
                else:
                    with entry.content.open("rb") as source:
                        while chunk := source.read(CHUNK_BYTES):
                            target.write(chunk)
                            yield out.take()
            yield out.take()
    yield out.take()


def _unused(name: str, names: set[str]) -> str:
    """The name, or one beside it: two files of a job may have one name."""
    path, number = Path(name), 1
    while name in names:
        number += 1
        name = str(path.with_name(f"{path.stem} {number}{path.suffix}"))
    names.add(name)
    return name


class _Pieces(RawIOBase):
    """What was written and not yet taken. Not seekable, so the archive is written from start to end."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = memoryview(data)  # type: ignore[arg-type] # whatever zipfile writes
        self._written += piece
        return len(piece)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken
