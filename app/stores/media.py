"""Files of results, and uploads while a job needs them, under the data folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from app.job_types import JobFile, StorageFailed


class MediaStore:
    """Result files in `root/files/<aa>/<job id>/`, uploads of unfinished jobs in `root/uploads/`.

    File ids are `<job id>-<number>`, so they follow from the job and need no table of their own.
    """

    def __init__(self, root: Path) -> None:
        self._files = root / "files"
        self.uploads = root / "uploads"
        self._files.mkdir(parents=True, exist_ok=True)
        self.uploads.mkdir(parents=True, exist_ok=True)

    def write(self, job_id: str, number: int, name: str, media_type: str, data: bytes) -> JobFile:
        """Store one result file, flushed to disk. `name` is ours, never a user's. Raises StorageFailed."""
        folder = self._folder(job_id)
        part = folder / f".{name}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(folder / name)
        except OSError as error:
            raise StorageFailed(f"A result could not be stored ({error.strerror}). Free disk space.") from error
        return JobFile(f"{job_id}-{number}", name, media_type, len(data), hashlib.sha256(data).hexdigest())

    def path(self, job_id: str, file: JobFile) -> Path:
        return self._folder(job_id) / file.name

    def adopt_upload(self, source: Path, job_id: str) -> Path:
        """Copy an upload to where its job can rely on it; the caller's copy may go. Raises StorageFailed."""
        target = self.uploads / job_id
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise StorageFailed(f"The upload could not be stored ({error.strerror}). Free disk space.") from error
        return target

    def discard_upload(self, job_id: str) -> None:
        (self.uploads / job_id).unlink(missing_ok=True)

    def discard_uploads(self) -> None:
        """Delete what an earlier process left; called at start, before any job runs."""
        for path in self.uploads.iterdir():
            path.unlink()

    def delete(self, job_id: str) -> None:
        """Delete all files of a job."""
        folder = self._folder(job_id)
        if folder.exists():
            shutil.rmtree(folder)

    def _folder(self, job_id: str) -> Path:
        return self._files / job_id[:2] / job_id
