"""What Firestore's documents hold of a job: plain fields, no client. docs/firestore.md shows them to their readers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from app.delivery.document_size import (
    MAX_DOCUMENT_BYTES,
    Fields,
    Value,
    document_size,
    most_elements,
    value_size,
)
from app.delivery.errors import DeliveryRefused
from app.jobs.model import Job, JobState
from app.work.image import PicturesResult
from app.work.speech import TranscriptionResult
from engines.results import Segment

POST_FIELDS = (
    "transcription",
    "transcriptionStatus",
    "transcriptionLanguage",
    "transcriptionProcessedAt",
    "transcriptionError",
    "transcriptionJobId",
    "transcriptionTextIn",
    "transcriptionVersion",
)
"""What is ours in a post. All of them are of one job and one state of it; everything else there is the app's."""

STATUS = {JobState.QUEUED: "pending", JobState.RUNNING: "processing", JobState.SUCCEEDED: "completed"}
"""transcriptionStatus; of the other states it is failed."""

KEPT_FREE_BYTES = 16 * 2**10
"""Of a post, for what the app adds to it after us."""

PART_BYTES = 900_000
"""Of a document that we fill ourselves: room for a count that differs a little from ours."""

Version = tuple[float, int, int]


@dataclass(frozen=True, slots=True)
class Document:
    """A document to be written whole. `path` as in `posts/p1`."""

    path: str
    fields: Fields


def post_path(post_id: str) -> str:
    return f"posts/{post_id}"


def transcript_path(post_id: str, job_id: str) -> str:
    return f"{post_path(post_id)}/transcripts/{job_id}"


# -- the post


def version_of(job: Job) -> Version:
    """Grows with time over the jobs of a post and over the states of each.

    A job that is asked for again after it failed counts as further only once it runs: from here that cannot be told
    from an old message which says that it waits.
    """
    step = {JobState.QUEUED: 0, JobState.RUNNING: -2}.get(job.state, 1)
    return job.created_at, job.number, 4 * job.attempt + step


def version_in(post: Mapping[str, object]) -> Version | None:
    """What a post is at; None where nothing of ours is in it."""
    match post.get("transcriptionVersion"):
        case {"created": float(created), "number": int(number), "step": int(step)}:
            return created, number, step
    return None


def post_fields(job: Job, post_id: str, others: Mapping[str, object]) -> dict[str, Value]:
    """Ours in a post that holds `others` besides."""
    created, number, step = version_of(job)
    fields: dict[str, Value] = {
        "transcriptionStatus": STATUS.get(job.state, "failed"),
        "transcriptionJobId": job.id,
        "transcriptionVersion": {"created": created, "number": number, "step": step},
    }
    if not job.state.final:
        return fields
    fields["transcriptionProcessedAt"] = _time(job.finished_at)
    if job.state is not JobState.SUCCEEDED:
        error = job.error
        message = "The job was cancelled." if error is None else error.message
        fields["transcriptionError"] = {"type": "cancelled" if error is None else error.type, "message": message}
        return fields
    result = job.result
    assert isinstance(result, TranscriptionResult)
    fields["transcriptionLanguage"] = result.language
    with_text = {**fields, "transcription": result.text}
    if document_size(post_path(post_id), {**others, **with_text}) <= MAX_DOCUMENT_BYTES - KEPT_FREE_BYTES:
        return with_text
    return {**fields, "transcriptionTextIn": transcript_path(post_id, job.id)}


# -- the transcript


def transcript_documents(job: Job, post_id: str, base_url: str) -> tuple[Document, list[Document]]:
    """The transcript, and its parts, which are to be there before it: none where one document holds it all.

    Whatever the length, they are the same each time. Raises DeliveryRefused.
    """
    result = job.result
    assert isinstance(result, TranscriptionResult)
    path = transcript_path(post_id, job.id)
    about: dict[str, Value] = {
        "jobId": job.id,
        "duration": result.duration,
        "language": result.language,
        "engine": result.engine,
        "where": result.where,
        "demo": result.demo,
        "note": result.note,
        "noSpeech": result.no_speech,
        "captions": {
            name: {"fileId": file_id, "url": file_url(base_url, file_id)}
            for name, file_id in result.captions.model_dump(exclude_none=True).items()
        },
        "createdAt": _time(job.created_at),
        "finishedAt": _time(job.finished_at),
        "contentHash": transcript_hash(result),
        "parts": 0,
    }
    whole = {**about, "text": result.text, "segments": list(map(_segment, result.segments))}
    if document_size(path, whole) <= PART_BYTES and len(result.segments) <= most_elements(path, "segments"):
        return Document(path, whole), []
    # Numbers of equal length, so that the order of names is the order of parts.
    parts = [
        Document(f"{path}/parts/{number:05}", {"index": number, **content})
        for number, content in enumerate(_parts(result, f"{path}/parts/00000"))
    ]
    return Document(path, {**about, "parts": len(parts)}), parts


def _parts(result: TranscriptionResult, path: str) -> Iterator[Fields]:
    """The text in pieces, then the segments in groups."""
    room = PART_BYTES - document_size(path, {"index": 0, "text": "", "segments": []})
    for piece in _pieces(result.text, room):
        yield {"text": piece}
    most = most_elements(path, "segments")
    group: list[Value] = []
    size = 0
    for segment in result.segments:
        for fields in _fitting(segment, room):
            own = value_size(fields)
            if group and (size + own > room or len(group) == most):
                yield {"segments": group}
                group, size = [], 0
            group.append(fields)
            size += own
    if group:
        yield {"segments": group}


def _pieces(text: str, size: int) -> Iterator[str]:
    """The text in pieces of up to `size` bytes, which together are the text."""
    data = text.encode()
    start = 0
    while start < len(data):
        end = min(start + size, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            # In the middle of a character.
            end -= 1
        yield data[start:end].decode()
        start = end


def _fitting(segment: Segment, room: int) -> Iterator[Fields]:
    """The segment, or its halves until each fits: hours of speech without a pause are one segment."""
    fields = _segment(segment)
    if value_size(fields) <= room:
        yield fields
        return
    words = segment.words
    if len(words) < 2:
        raise DeliveryRefused(f"The segment at {segment.start:.1f} s has no words at which it could be divided.")
    middle = len(words) // 2
    for half in (words[:middle], words[middle:]):
        text = " ".join(word.word for word in half)
        yield from _fitting(Segment(text=text, start=half[0].start, end=half[-1].end, words=half), room)


def _segment(segment: Segment) -> dict[str, Value]:
    return segment.model_dump()


def transcript_hash(result: TranscriptionResult) -> str:
    """Of what was heard; addresses and file ids are left out. Later versions must come to the same."""
    segments = [
        [segment.text, [[word.word, word.start, word.end, word.confidence] for word in segment.words]]
        for segment in result.segments
    ]
    return _hash([result.text, result.language, result.engine, segments])


# -- pictures


def images_document(job: Job, post_id: str, base_url: str) -> Document:
    """Where the pictures of a job are and how they were made: the first one's fields, and all as `images`."""
    result = job.result
    assert isinstance(result, PicturesResult)
    files = {file.id: file for file in job.files}
    images: list[dict[str, Value]] = []
    for picture in result.images:
        file = files[picture.file_id]
        images.append(
            {
                "url": file_url(base_url, file.id),
                "fileId": file.id,
                "sha256": file.sha256,
                "size": file.size,
                "mediaType": file.media_type,
                "width": picture.width,
                "height": picture.height,
                "seed": picture.seed,
                "recipe": picture.recipe.model_dump(exclude_none=True),
            }
        )
    about: dict[str, Value] = {
        "jobId": job.id,
        "kind": job.kind,
        "model": result.model,
        "demo": result.demo,
        "createdAt": _time(job.created_at),
        "finishedAt": _time(job.finished_at),
        "contentHash": _hash([[image["sha256"], image["recipe"]] for image in images]),
        "images": images,
    }
    return Document(f"{post_path(post_id)}/images/{job.id}", {**images[0], **about})


def file_url(base_url: str, file_id: str) -> str:
    return f"{base_url.rstrip('/')}/files/{file_id}"


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _time(at: float | None) -> datetime | None:
    """None for a job that has no such time."""
    return None if at is None else datetime.fromtimestamp(at, UTC)
