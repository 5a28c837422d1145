"""The data folder: this user's eyes only, writable, and held by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.jobs.errors import StorageFailed

LOCK = "studio.lock"
FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077
"""What the group and everybody else may do."""

ROOM = 256 * 1024
"""Bytes that a start must find free: SQLite's -wal and -shm take up to 100 kB before the first job."""

SHARED = ("/tmp", "/var/tmp", "/dev/shm")
PROGRAM = Path(__file__).resolve().parents[3]
ANOTHER = "Choose a folder of its own with STUDIO_DATA_DIR."


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make `folder` if it is not there, close it to other users, and keep other studios out while the block runs.

    Raises StorageFailed with a sentence for whoever starts the studio.
    """
    with _sentences(folder):
        _make(folder)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        with _sentences(folder):
            # The kernel lets go of it with the process, however that ends, kill -9 included.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _see_to_room(lock)
        yield
    finally:
        os.close(lock)


def make_folder(folder: Path) -> None:
    """Make one folder, private whatever the umask. Its parent must be there. Raises OSError."""
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def private(path: str, flags: int) -> int:
    """For `open(..., opener=private)`: a new file is private whatever the umask."""
    return os.open(path, flags, FILE_MODE)


def disk_is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _see_to_room(file: int) -> None:
    written = 0
    try:
        while written < ROOM:
            written += os.pwrite(file, bytes(ROOM - written), written)
        os.fsync(file)
    finally:
        os.ftruncate(file, 0)


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise StorageFailed(f"The data folder {folder} is a file. {ANOTHER}")
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    # Closed to others, these would take more away from them than our data.
    if folder.resolve() in {Path(shared).resolve() for shared in SHARED}:
        raise StorageFailed(f"The data folder {folder} is shared by all users of this machine. {ANOTHER}")
    if PROGRAM.is_relative_to(folder.resolve()):
        raise StorageFailed(f"The data folder {folder} has the studio's own program in it. {ANOTHER}")
    was_open = folder.stat().st_mode & OTHERS
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~OTHERS)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            # From here on the closed folder hides even what cannot be changed, such as models on a read-only disk.
            with suppress(OSError):
                _close_to_others(Path(parent, name))
        if not was_open:
            break


def _close_to_others(path: Path) -> None:
    mode = path.lstat().st_mode
    # A link leads to what may not be ours to change.
    if mode & OTHERS and not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) & ~OTHERS)


@contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError as error:
        raise StorageFailed(
            f"The data folder {folder} is in use by another studio. Stop that one, or choose another folder with "
            "STUDIO_DATA_DIR."
        ) from error
    except PermissionError as error:
        where = error.filename or folder
        raise StorageFailed(
            f"The data folder {folder} cannot be used by this user ({error.strerror}: {where}). Start the studio as "
            "the owner of that folder, or choose another one with STUDIO_DATA_DIR."
        ) from error
    except OSError as error:
        if disk_is_full(error):
            raise StorageFailed(
                f"The disk is full: the data folder {folder} has less than {ROOM // 1024} kB left "
                f"({error.strerror}). Free some space and start again."
            ) from error
        raise StorageFailed(f"The data folder {folder} cannot be used ({error.strerror}). {ANOTHER}") from error
