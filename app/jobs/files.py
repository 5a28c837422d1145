"""Files of results, and uploads while a job needs them, under the data folder."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path

from app.jobs.model import JobFile, StorageFailed
from app.jobs.store.folder import make_folder, private

log = logging.getLogger(__name__)


class MediaStore:
    """Result files in `root/files/<aa>/<job id>/`, uploads of unfinished jobs in `root/uploads/`.

    File ids are `<job id>-<number>`, so they follow from the job and need no table of their own.
    """

    def __init__(self, root: Path) -> None:
        self._files = root / "files"
        self.uploads = root / "uploads"
        try:
            make_folder(self._files)
            make_folder(self.uploads)
        except OSError as error:
            raise StorageFailed(
                f"{error.filename} cannot be made ({error.strerror}). Move away what is there, or free disk space."
            ) from error

    def any_file(self) -> bool:
        """Is there a result of any job?"""
        return any(path.is_file() for path in self._files.rglob("*"))

    def write(self, job_id: str, number: int, name: str, media_type: str, data: bytes) -> JobFile:
        """Store one result file, flushed to disk. `name` is ours, never a user's. Raises StorageFailed."""
        folder = self._folder(job_id)
        part = folder / f".{name}.part"
        try:
            make_folder(folder.parent)
            make_folder(folder)
            with open(part, "wb", opener=private) as file:
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
            with source.open("rb") as given, open(target, "wb", opener=private) as own:
                shutil.copyfileobj(given, own)
        except OSError as error:
            _remove(target)
            raise StorageFailed(f"The upload could not be stored ({error.strerror}). Free disk space.") from error
        return target

    def discard_upload(self, job_id: str) -> None:
        _remove(self.uploads / job_id)

    def discard_uploads(self) -> None:
        """Delete what an earlier process left; called at start, before any job runs."""
        for path in self.uploads.iterdir():
            _remove(path)

    def delete(self, job_id: str) -> None:
        """Delete all files of a job."""
        _remove(self._folder(job_id))

    def _folder(self, job_id: str) -> Path:
        return self._files / job_id[:2] / job_id


def _remove(path: Path) -> None:
    """Delete a file or folder. One that cannot be deleted costs space; the job that it belonged to must end all the
    same."""
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s could not be deleted: %s", path, error)
