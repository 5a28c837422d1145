"""Result files where Gradio may serve them from: copies in its cache, bytes unchanged.

The data folder itself is never served by Gradio: its route hands any allowed file to whoever knows the path.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from app.job_types import Job
from app.studio import Studio

THUMBNAIL_SIDE = 320


def served(studio: Studio, job: Job, file_id: str) -> str:
    """The path of a result file's copy in the cache."""
    file = next(file for file in job.files if file.id == file_id)
    return str(save_file_to_cache(studio.media.path(job.id, file), cache_dir=get_upload_folder()))


def served_images(studio: Studio, job: Job) -> list[str]:
    return [served(studio, job, image["file_id"]) for image in (job.result or {})["images"]]


def thumbnail(studio: Studio, job: Job) -> str:
    """A small WebP of the job's first picture, made once: a row of full-size pictures would be tens of megabytes."""
    target = _folder(job) / "thumbnail.webp"
    if not target.exists():
        part = target.with_suffix(".part")
        with Image.open(studio.media.path(job.id, job.files[0])) as image:
            image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            image.convert("RGB").save(part, "WEBP", quality=85, method=2)
        part.replace(target)
    return str(target)


def zipped(studio: Studio, job: Job) -> str:
    """All files of a job in one archive. Stored, not compressed: pictures do not get smaller."""
    target = _folder(job) / f"carrot-studio-{job.id[:8]}.zip"
    if not target.exists():
        part = target.with_suffix(".part")
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for file in job.files:
                archive.write(studio.media.path(job.id, file), file.name)
        part.replace(target)
    return str(target)


def transcript_json(job: Job) -> str:
    """The whole transcript with words, times and confidences as a file."""
    target = _folder(job) / "transcript.json"
    if not target.exists():
        public: dict[str, Any] = {"job_id": job.id, "filename": job.request.get("filename"), **(job.result or {})}
        public.pop("captions", None)
        part = target.with_suffix(".part")
        part.write_text(json.dumps(public, ensure_ascii=False, indent=2), encoding="utf-8")
        part.replace(target)
    return str(target)


def is_upload(path: str) -> bool:
    """True for a file that Gradio's upload route wrote. A client may name any path: only these may be read."""
    real = Path(os.path.realpath(path))
    return real.is_file() and real.is_relative_to(Path(os.path.realpath(get_upload_folder())))


def _folder(job: Job) -> Path:
    """Job ids cannot be guessed, so neither can these paths."""
    folder = Path(get_upload_folder()) / f"job-{job.id}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
