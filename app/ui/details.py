"""A job as clients of the named endpoints see it."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

import gradio as gr

from app.concurrency import run_blocking
from app.http.deps import base_url_of
from app.http.views import urls_of
from app.jobs.model import Job
from app.studio import Studio
from app.ui.files import served
from app.work.image import PicturesResult
from app.work.speech import TranscriptionResult

Details = dict[str, Any]
Files = list[dict[str, Any]]


def details(job: Job, request: gr.Request) -> Details:
    """JSON with `job_id`, `state`, `progress`, `warnings` and addresses; of a finished job also what it made."""
    error = job.error
    common = {
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "progress": asdict(job.progress),
        "error": None if error is None else {"type": error.type, "message": error.message, "field": error.field},
        "warnings": [asdict(warning) for warning in job.warnings],
        **urls_of(job.id, base_url_of(request.request)),
    }
    return common | (_speech_details(job) if job.kind == "transcription" else _image_details(job))


def _image_details(job: Job) -> Details:
    result = job.result if isinstance(job.result, PicturesResult) else None
    images = () if result is None else result.images
    recipes = [image.recipe.model_dump() for image in images]
    names = ("model", "model_label", "demo", "seconds")
    return {
        "seeds": [image.seed for image in images],
        "recipe": recipes[0] if recipes else None,
        "recipes": recipes,
        "file_ids": [image.file_id for image in images],
        "images": [],
        **{name: getattr(result, name, None) for name in names},
    }


def _speech_details(job: Job) -> Details:
    result = job.result if isinstance(job.result, TranscriptionResult) else None
    names = ("text", "no_speech", "duration", "language", "engine", "where", "demo", "note")
    return {**{name: getattr(result, name, None) for name in names}, "words": words(job)}


def words(job: Job) -> list[Details]:
    """The words of a transcription that is there."""
    return [word.model_dump() for word in job.result.words] if isinstance(job.result, TranscriptionResult) else []


async def data_uris(studio: Studio, job: Job) -> list[str]:
    """The pictures themselves, for a client that cannot fetch files."""
    pictures = [file for file in job.files if file.media_type.startswith("image/")]
    contents = [await studio.queue.library.content(file) for file in pictures]
    return [
        f"data:{file.media_type};base64,{base64.b64encode(data).decode()}"
        for file, data in zip(pictures, contents, strict=True)
    ]


async def file_values(studio: Studio, job: Job) -> Files:
    """The job's files as Gradio hands them to clients."""
    return [
        {
            "path": await run_blocking(served, studio, job, file),
            "orig_name": file.name,
            "mime_type": file.media_type,
            "size": file.size,
            "meta": {"_type": "gradio.FileData"},
        }
        for file in job.files
    ]
