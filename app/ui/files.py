"""Result files where Gradio may serve them from: copies in the owner's part of its cache, bytes unchanged."""

from __future__ import annotations

import json
import secrets
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradio.processing_utils import save_file_to_cache
from PIL import Image

from app.jobs.model import Job
from app.ui.cache import gradio_cache
from app.work.studio import Studio

THUMBNAIL_SIDE = 320


def served(studio: Studio, job: Job, file_id: str) -> str:
    """The path of a result file's copy in the cache."""
    file = next(file for file in job.files if file.id == file_id)
    return str(save_file_to_cache(studio.media.path(job.id, file), cache_dir=str(gradio_cache().folder(job.owner))))


def served_images(studio: Studio, job: Job) -> list[str]:
    return [served(studio, job, image["file_id"]) for image in (job.result or {})["images"]]


def thumbnail(studio: Studio, job: Job) -> str:
    """A small WebP of the job's first picture, made once: a row of full-size pictures would be tens of megabytes."""

    def write(target: Path) -> None:
        with Image.open(studio.media.path(job.id, job.files[0])) as image:
            image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            image.convert("RGB").save(target, "WEBP", quality=85, method=2)

    return _made_once(job, "thumbnail.webp", write)


def zipped(studio: Studio, job: Job) -> str:
    """All files of a job in one archive. Stored, not compressed: pictures do not get smaller."""

    def write(target: Path) -> None:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for file in job.files:
                archive.write(studio.media.path(job.id, file), file.name)

    return _made_once(job, f"carrot-studio-{job.id[:8]}.zip", write)


def transcript_json(job: Job) -> str:
    """The whole transcript with words, times and confidences as a file."""

    def write(target: Path) -> None:
        public: dict[str, Any] = {"job_id": job.id, "filename": job.request.get("filename"), **(job.result or {})}
        public.pop("captions", None)
        target.write_text(json.dumps(public, ensure_ascii=False, indent=2), encoding="utf-8")

    return _made_once(job, "transcript.json", write)


def _made_once(job: Job, name: str, write: Callable[[Path], None]) -> str:
    """The path of a file in the owner's part of the cache, written if it is not there."""
    folder = gradio_cache().folder(job.owner) / f"job-{job.id}"
    folder.mkdir(exist_ok=True)
    target = folder / name
    if target.exists():
        target.touch()  # Shown again: the cache deletes what nobody was shown for a while.
        return str(target)
    part = folder / f"{secrets.token_hex(4)}-{name}"
    write(part)
    part.replace(target)
    return str(target)
