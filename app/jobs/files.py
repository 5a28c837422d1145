"""The bytes of jobs' inputs and results, by the hash of their content, under the data folder.

A file comes in whole under a name of its own in `uploads/`, and is renamed into its place when a job that refers to it
is stored. So nothing is copied, and what a crash leaves behind is either in `uploads/` or referred to by no job.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.jobs.errors import StorageFailed
from app.jobs.model import Received
from app.jobs.store.folder import OTHERS, make_folder, private

log = logging.getLogger(__name__)

REMEMBERED_BYTES = 64 * 2**20
"""Of results that were just written: whoever waits for one reads it from memory."""


class Files:
    """Content in `root/files/<aa>/<sha256>`, and in `root/uploads` what is not anybody's yet. Thread-safe."""

    def __init__(self, root: Path) -> None:
        """Raises StorageFailed."""
        self._content = root / "files"
        self.uploads = root / "uploads"
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        try:
            make_folder(self._content)
            make_folder(self.uploads)
        except OSError as error:
            raise StorageFailed(
                f"{error.filename} cannot be made ({error.strerror}). Move away what is there, or free disk space."
            ) from error

    def any(self) -> bool:
        """Is there content of any job?"""
        return any(path.is_file() for path in self._content.rglob("*"))

    # -- on the way in

    def adopt(self, path: Path, sha256: str, filename: str) -> Received:
        """A file that its sender's bytes were written to, below `uploads`, with their hash. Raises StorageFailed."""
        try:
            with path.open("rb") as file:
                os.fsync(file.fileno())
                return Received(path, sha256, os.fstat(file.fileno()).st_size, filename)
        except OSError as error:
            raise StorageFailed(f"The upload could not be stored ({error.strerror}). Free disk space.") from error

    def open_new(self) -> IO[bytes]:
        """A file below `uploads` to write to; it is the caller's to close, and to adopt or discard. Raises
        StorageFailed."""
        try:
            return open(self._new(), "wb", opener=private)
        except OSError as error:
            raise StorageFailed(f"A file could not be stored ({error.strerror}). Free disk space.") from error

    def take(self, source: Path, filename: str = "") -> Received:
        """A file of somebody else's, which may go afterwards, and must not be written to: it is linked where the disk
        allows it, else copied, and so is one that others may read. Raises StorageFailed."""
        target = self._new()
        try:
            try:
                if source.stat().st_mode & OTHERS:
                    raise PermissionError
                os.link(source, target)
            except OSError:  # or it is on another disk, or on one without links
                with source.open("rb") as given, open(target, "wb", opener=private) as own:
                    shutil.copyfileobj(given, own)
            with target.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return self.adopt(target, sha256, filename)
        except OSError as error:
            _remove(target)
            raise StorageFailed(f"The upload could not be stored ({error.strerror}). Free disk space.") from error

    def write(self, data: bytes) -> Received:
        """Bytes as a file that is safe on disk. Raises StorageFailed."""
        target = self._new()
        try:
            with open(target, "wb", opener=private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            _remove(target)
            raise StorageFailed(f"A result could not be stored ({error.strerror}). Free disk space.") from error
        sha256 = hashlib.sha256(data).hexdigest()
        self._remember(sha256, data)
        return Received(target, sha256, len(data))

    def place(self, file: Received) -> None:
        """Move it to where its content belongs. To be called in the transaction that refers to it."""
        target = self.path(file.sha256)
        try:
            make_folder(target.parent)
            if file.path.exists() or not target.exists():
                file.path.replace(target)
        except OSError as error:
            raise StorageFailed(f"A file could not be stored ({error.strerror}). Free disk space.") from error

    def discard(self, files: Iterable[Received]) -> None:
        """Delete what has not been placed."""
        for file in files:
            _remove(file.path)

    # -- at rest

    def path(self, sha256: str) -> Path:
        return self._content / sha256[:2] / sha256

    def read(self, sha256: str) -> bytes:
        """The content. Raises OSError."""
        with self._lock:
            known = self._recent.get(sha256)
        return self.path(sha256).read_bytes() if known is None else known

    def delete(self, hashes: Iterable[str]) -> None:
        """Delete content that no job refers to any more."""
        for sha256 in hashes:
            with self._lock:
                self._recent.pop(sha256, None)
            _remove(self.path(sha256))

    def sweep(self, referred: set[str]) -> None:
        """Delete what an earlier process left: unfinished uploads, and content that no job refers to."""
        for path in self.uploads.iterdir():
            _remove(path)
        for folder in self._content.iterdir():
            if folder.is_dir():
                for path in folder.iterdir():
                    if path.name not in referred:
                        _remove(path)

    def _new(self) -> Path:
        return self.uploads / secrets.token_hex(16)

    def _remember(self, sha256: str, data: bytes) -> None:
        with self._lock:
            self._recent[sha256] = data
            while sum(map(len, self._recent.values())) > REMEMBERED_BYTES:
                self._recent.popitem(last=False)


def _remove(path: Path) -> None:
    """Delete a file or folder. One that cannot be deleted costs space; the job that it belonged to must end all the
    same."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            with suppress(FileNotFoundError):
                path.unlink()
    except OSError as error:
        log.warning("%s could not be deleted: %s", path, error.strerror)
