"""Result files where Gradio may serve them from: in the account's part of its cache, bytes unchanged."""

from __future__ import annotations

import json
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
from app.work.speech import TranscriptionRequest, TranscriptionResult

THUMBNAIL_SIDE = 320


def served(studio: Studio, job: Job, file: JobFile) -> str:
    """The path of a result file, by its own name, in the account's part of the cache."""

    def write(target: Path) -> None:
        source = studio.files.path(file.sha256)
        try:
            os.link(source, target)
        except OSError:  # on another disk, or one without links
            shutil.copyfile(source, target)

    return _made_once(job, file.name, write)


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


def transcript_json(job: Job) -> str:
    """The whole transcript with words, times and confidences as a file."""

    def write(target: Path) -> None:
        assert isinstance(job.result, TranscriptionResult)
        assert isinstance(job.request, TranscriptionRequest)
        told = job.result.model_dump(mode="json", exclude={"captions"})
        public = {"job_id": job.id, "filename": job.request.filename, **told}
        target.write_text(json.dumps(public, ensure_ascii=False, indent=2), encoding="utf-8")

    return _made_once(job, "transcript.json", write)


def _made_once(job: Job, name: str, write: Callable[[Path], None]) -> str:
    """The path of a file in the account's part of the cache, written if it is not there."""
    folder = gradio_cache().folder(job.account) / f"job-{job.id}"
    folder.mkdir(exist_ok=True)
    target = folder / name
    if target.exists():
        target.touch()  # Shown again: the cache deletes what nobody was shown for a while.
        return str(target)
    part = folder / f"{secrets.token_hex(4)}-{name}"
    write(part)
    part.replace(target)
    return str(target)
