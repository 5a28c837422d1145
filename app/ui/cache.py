"""Where the files lie that Gradio may open and serve: a folder for each caller, and nothing outside of it.

Gradio itself knows one folder for everybody, and serves any file of it to whoever knows the path.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

from gradio.utils import get_upload_folder

PRIVATE = 0o700


class FileCache:
    """Uploads of callers, and copies of the results that they are shown, below `root`. Who calls is an `account`."""

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        # Real, so that a path compares equal however the folder is reached.
        self._root = root.resolve()

    def folder(self, account: str) -> Path:
        """The account's folder, made if absent."""
        folder = self._root / caller_id(account)
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        return folder

    def new_folder(self, account: str) -> Path:
        """An empty folder of the account's, for one upload."""
        folder = self.folder(account) / secrets.token_hex(16)
        folder.mkdir(mode=PRIVATE)
        return folder

    def find(self, account: str, path: object) -> Path | None:
        """The real path of the account's file that a client names; None for anything else.

        Anything else: another caller's file, one outside the cache, a link that leads there, a folder, a device, a
        pipe, an address, no text at all.
        """
        if not isinstance(path, str) or "\0" in path:
            return None
        try:
            real = Path(os.path.realpath(path))
            inside = real.is_relative_to(self._root / caller_id(account))
            return real if inside and stat.S_ISREG(real.lstat().st_mode) else None
        except (OSError, ValueError):  # gone, longer than the system takes, or not encodable as a path
            return None

    def forget(self, job_id: str) -> None:
        """Delete the copies of a job's files, whoever was shown them."""
        for folder in self._root.glob(f"*/job-{job_id}"):
            shutil.rmtree(folder, ignore_errors=True)

    def prune(self, older_than_seconds: float) -> None:
        """Delete files that nobody was shown for this long, and the folders that this leaves empty."""
        oldest = time.time() - older_than_seconds
        # Change times: a copy of a result has the modification time of the result.
        for folder, _, names in os.walk(self._root, topdown=False):
            for file in (Path(folder, name) for name in names):
                if file.lstat().st_ctime < oldest:
                    file.unlink()
            # Accounts' own folders stay: one may be about to be used.
            if Path(folder).parent not in (self._root, self._root.parent) and Path(folder).lstat().st_ctime < oldest:
                with suppress(OSError):  # not empty
                    Path(folder).rmdir()


def gradio_cache() -> FileCache:
    """The one of this process: Gradio takes the folder from the environment (GRADIO_TEMP_DIR)."""
    return FileCache(Path(get_upload_folder()))


def caller_id(account: str) -> str:
    """A short name for the account that is fit for paths and ids, and does not tell who it is."""
    return hashlib.sha256(account.encode()).hexdigest()[:16]
