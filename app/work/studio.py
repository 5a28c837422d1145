"""What every door shares: the engines' jobs, with requests and results in public names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL.PngImagePlugin import PngInfo

from app.jobs.files import MediaStore
from app.jobs.model import Job
from app.jobs.queue import JobContext, Jobs, Work, new_job_id
from app.presets import Presets
from app.settings.fields import Settings
from engines.protocols import ImageEngine, SpeechEngine
from engines.speech.captions import to_srt, to_vtt
from engines.types import GeneratedImage, ImageRequest, Segment, TranscribeRequest, Transcript, Word

_Task = tuple[dict[str, Any], Work]
"""A job's public request and what it does."""


@dataclass(frozen=True, slots=True)
class Studio:
    """The parts of a running studio. `submit_*` validate, acknowledge a job and return it at once."""

    settings: Settings
    image: ImageEngine
    speech: SpeechEngine
    jobs: Jobs
    media: MediaStore
    presets: Presets

    def submit_image(
        self, request: ImageRequest, *, owner: str, preset: str | None = None, idempotency_key: str | None = None
    ) -> Job:
        """A photo is copied, so the caller's own file may go afterwards.

        Raises InvalidRequest, QueueFull, Draining, IdempotencyConflict, StorageFailed.
        """
        self.image.check(request)

        def task(own: ImageRequest) -> _Task:
            return public_image_request(own, preset), lambda context: _make_images(self.image, own, preset, context)

        if request.init_image is None:
            return self.jobs.submit("image", *task(request), owner=owner, idempotency_key=idempotency_key)

        def with_photo(copy: Path, sha256: str) -> _Task:
            return task(replace(request, init_image=copy, init_image_sha256=sha256))

        return self._submit_file("image", request.init_image, with_photo, owner, idempotency_key)

    def submit_speech(self, request: TranscribeRequest, *, owner: str, idempotency_key: str | None = None) -> Job:
        """The file is copied, so the caller's own may go afterwards. Raises as `submit_image` does."""
        self.speech.check(request)

        def task(copy: Path, sha256: str) -> _Task:
            own = replace(request, path=str(copy))
            public = {"filename": request.filename, "language": request.language, "sha256": sha256}
            return public, lambda context: _transcribe(self.speech, own, context)

        return self._submit_file("speech", Path(request.path), task, owner, idempotency_key)

    def _submit_file(
        self, kind: str, file: Path, task: Callable[[Path, str], _Task], owner: str, idempotency_key: str | None
    ) -> Job:
        """Submit work on a copy of `file`, which lasts as long as the job. `task` gets the copy and its SHA-256."""
        job_id = new_job_id()
        upload = self.media.adopt_upload(file, job_id)
        job: Job | None = None
        try:
            public, work = task(upload, _sha256(upload))
            job = self.jobs.submit(kind, public, work, owner=owner, idempotency_key=idempotency_key, job_id=job_id)
        finally:
            if job is None or job.id != job_id:
                self.media.discard_upload(job_id)
        return job


def public_image_request(request: ImageRequest, preset: str | None) -> dict[str, Any]:
    """The request as it is stored and shown: JSON types, the start picture only as its hash."""
    public = asdict(request)
    del public["init_image"]
    public["preset"] = preset
    return public


def _make_images(engine: ImageEngine, request: ImageRequest, preset: str | None, context: JobContext) -> dict[str, Any]:
    result = engine.generate(request, context.report, context.cancel)
    images = []
    for number, image in enumerate(result.images, start=1):
        recipe = {**image.recipe, "preset": preset}
        file = context.keep(f"{number}-{image.seed}.png", "image/png", encode_png(image, recipe))
        size = {"width": image.image.width, "height": image.image.height}
        images.append({"file_id": file.id, "seed": image.seed, **size, "recipe": recipe})
    info = engine.info
    return {
        "model": info.name,
        "model_label": info.label,
        "demo": info.demo,
        "seconds": round(result.seconds, 3),
        "images": images,
    }


def encode_png(image: GeneratedImage, recipe: dict[str, Any]) -> bytes:
    """PNG with the recipe inside, as JSON in the text chunk `recipe`, so that a picture tells how it was made."""
    info = PngInfo()
    info.add_text("Software", "Carrot Studio")
    info.add_itxt("recipe", json.dumps(recipe, ensure_ascii=False))
    out = BytesIO()
    # Level 1: 5 times as fast as the default for a few percent more bytes.
    image.image.save(out, "PNG", compress_level=1, pnginfo=info)
    return out.getvalue()


def _transcribe(engine: SpeechEngine, request: TranscribeRequest, context: JobContext) -> dict[str, Any]:
    transcript = engine.transcribe(request, context.report, context.cancel)
    captions: dict[str, Callable[[Transcript], str]] = {"srt": to_srt, "vtt": to_vtt}
    types = {"srt": "application/x-subrip", "vtt": "text/vtt"}
    files = {
        name: context.keep(f"captions.{name}", types[name], write(transcript).encode()).id
        for name, write in captions.items()
    }
    files["txt"] = context.keep("transcript.txt", "text/plain", transcript.text.encode()).id
    return {
        "text": transcript.text,
        "no_speech": transcript.no_speech,
        "duration": transcript.duration,
        "language": transcript.language,
        "engine": transcript.engine,
        "where": transcript.where,
        "demo": transcript.demo,
        "note": transcript.note,
        "segments": [asdict(segment) for segment in transcript.segments],
        "captions": files,
    }


def transcript_of(job: Job) -> Transcript:
    """A finished speech job's result as the engine's type again."""
    result = job.result or {}
    segments = tuple(
        Segment(item["text"], item["start"], item["end"], tuple(Word(**word) for word in item["words"]))
        for item in result["segments"]
    )
    known = {key: result[key] for key in ("text", "duration", "language", "engine", "where", "demo", "note")}
    return Transcript(segments=segments, **known)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
