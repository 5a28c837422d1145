"""Result files where Gradio may serve them from: in the account's part of its cache, bytes unchanged."""

from __future__ import annotations

import os
import secrets
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from app.jobs.model import Job, JobFile
from app.studio import Studio
from app.ui.cache import gradio_cache

THUMBNAIL_SIDE = 320


def served(studio: Studio, job: Job, file: JobFile) -> str:
    """The path of a result file, by its own name, in the account's part of the cache."""

    def write(target: Path) -> None:
        source = studio.files.path(file.sha256)
        try:
            os.link(source, target)
        except OSError:  # on another disk, or one without links
            shutil.copyfile(source, target)

    # In a folder of its own: two files of a job may have one name.
    return _made_once(job, f"{file.id.rpartition('-')[2]}/{file.name}", write)


def thumbnail(studio: Studio, job: Job) -> str:
    """A small WebP of the job's first picture, made once: a row of full-size pictures would be tens of megabytes."""

    def write(target: Path) -> None:
        with Image.open(studio.files.path(job.files[0].sha256)) as image:
            image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            image.convert("RGB").save(target, "WEBP", quality=85, method=2)

    return _made_once(job, "thumbnail.webp", write)


def zipped(studio: Studio, job: Job) -> str:
    """All files of a job in one archive. Stored, not compressed: pictures do not get smaller."""

    def write(target: Path) -> None:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for file in job.files:
                archive.write(studio.files.path(file.sha256), file.name)

    return _made_once(job, f"carrot-studio-{job.id[:8]}.zip", write)


def _made_once(job: Job, name: str, write: Callable[[Path], None]) -> str:
    """The path of a file in the account's part of the cache, written if it is not there."""
    target = gradio_cache().folder(job.account) / f"job-{job.id}" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.touch()  # Shown again: the cache deletes what nobody was shown for a while.
        return str(target)
    part = target.with_name(f"{secrets.token_hex(4)}-{target.name}")
    write(part)
    part.replace(target)
    return str(target)
