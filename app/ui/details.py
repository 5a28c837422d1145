"""A job as clients of the named endpoints see it."""

from __future__ import annotations

import base64
from typing import Any

from app.jobs.model import Job
from app.ui.files import served
from app.work.studio import Studio

CAPTIONS = ("srt", "vtt", "txt")


def details(job: Job) -> dict[str, Any]:
    """JSON with `job_id`, `state`, `progress`; of a finished job also what it made, files and images aside."""
    public = job.public()
    common = {key: public[key] for key in ("job_id", "kind", "state", "progress", "error")}
    return common | (image_details(job) if job.kind == "image" else speech_details(job))


def image_details(job: Job) -> dict[str, Any]:
    result = job.result or {}
    images = result.get("images", [])
    recipes = [image["recipe"] for image in images]
    return {
        "seeds": [image["seed"] for image in images],
        "recipe": recipes[0] if recipes else None,
        "recipes": recipes,
        "file_ids": [image["file_id"] for image in images],
        "images": [],
        **{key: result.get(key) for key in ("model", "model_label", "demo", "seconds")},
    }


def speech_details(job: Job) -> dict[str, Any]:
    result = job.result or {}
    names = ("text", "no_speech", "duration", "language", "engine", "where", "demo", "note")
    return {**{name: result.get(name) for name in names}, "words": words(job)}


def words(job: Job) -> list[dict[str, Any]]:
    return [word for segment in (job.result or {}).get("segments", []) for word in segment["words"]]


def data_uris(studio: Studio, job: Job) -> list[str]:
    """The pictures themselves, for a client that cannot fetch files. Touches the disk."""
    ids = [image["file_id"] for image in (job.result or {}).get("images", [])] if job.kind == "image" else []
    found = [studio.jobs.file(file_id, job.owner) for file_id in ids]
    return [f"data:{file.media_type};base64,{base64.b64encode(data).decode()}" for file, data in found]


def file_values(studio: Studio, job: Job) -> list[dict[str, Any]]:
    """The job's files as Gradio hands them to clients. Touches the disk."""
    if job.result is None:
        return []
    if job.kind == "image":
        ids = [image["file_id"] for image in job.result["images"]]
    else:
        ids = [job.result["captions"][name] for name in CAPTIONS]
    types = {file.id: file for file in job.files}
    return [
        {
            "path": served(studio, job, file_id),
            "orig_name": types[file_id].name,
            "mime_type": types[file_id].media_type,
            "size": types[file_id].size,
            "meta": {"_type": "gradio.FileData"},
        }
        for file_id in ids
    ]
