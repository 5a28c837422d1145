"""The route that existing clients call to transcribe what lies at an address; on the studio and the speech service."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from app.http.deps import AskedDep, ServiceDep, accepted, finish, submit
from app.http.errors import ERRORS
from app.jobs.model import JobFailed
from app.jobs.queue import Submission
from app.studio import Studio
from app.work.request import Address, PostId, unknown_fields
from app.work.speech import TranscriptionRequest, TranscriptionResult
from engines.errors import InvalidRequest
from engines.requests import Language, parse
from engines.results import Unused, Word

router = APIRouter(tags=["existing clients"], responses=ERRORS)


class Post(BaseModel):
    """A post's recording. Fields that are not known are passed over."""

    model_config = ConfigDict(extra="ignore")

    postId: PostId = ""  # noqa: N815 - as existing clients send it
    audioUrl: Address | None = None  # noqa: N815
    videoUrl: Address | None = None  # noqa: N815
    mediaType: Annotated[str, Field(max_length=200, description="Not needed: the content tells")] = ""  # noqa: N815
    language: Language = ""

    def address(self) -> tuple[str, str]:
        """The field that has it, and the address. Raises InvalidRequest."""
        if self.audioUrl and self.videoUrl:
            raise InvalidRequest("videoUrl", "audioUrl and videoUrl came together: send one of them.")
        if self.videoUrl:
            return "videoUrl", self.videoUrl
        if self.audioUrl:
            return "audioUrl", self.audioUrl
        raise InvalidRequest("audioUrl", "audioUrl is missing: send the recording's address, or a video's as videoUrl.")


class Transcribed(BaseModel):
    """What was said, in existing clients' names, and then what they do not know of."""

    success: Literal[True] = True
    postId: str  # noqa: N815
    transcription: str = Field(description="Empty where nobody spoke")
    status: Literal["completed"] = "completed"
    language: str
    no_speech: bool
    duration: float = Field(description="Of the recording, in seconds")
    words: tuple[Word, ...]
    job_id: str
    warnings: tuple[Unused, ...]


def _post_id(asked: AskedDep) -> None:
    """An error is to have it as well."""
    asked.request.state.post_id = str(asked.sent.get("postId") or "")[:1500]


@router.post("/transcribe", response_model=Transcribed, dependencies=[Depends(_post_id)])
async def transcribe(body: Post, service: ServiceDep, asked: AskedDep) -> Any:
    """Fetch a recording, transcribe it, and wait for that."""
    field, address = body.address()
    submission = Submission(
        kind="transcription",
        request=parse(TranscriptionRequest, {"audio": address, "language": body.language, "post_id": body.postId}),
        account=asked.account,
        address_field=field,
        idempotency_key=asked.idempotency_key,
        warnings=unknown_fields(asked.sent, set(Post.model_fields)),
    )
    job = await submit(service, submission)
    if asked.respond_async and isinstance(service, Studio):
        return accepted(asked, job)
    try:
        job = await finish(asked, service, job)
    except JobFailed as failed:
        # The job knows its file by another name than these clients.
        error = failed.error
        raise JobFailed(replace(error, field=field) if error.field in ("audio", "file") else error) from failed
    result = job.result
    assert isinstance(result, TranscriptionResult)
    return Transcribed(
        postId=body.postId,
        transcription=result.text,
        language=result.language,
        no_speech=result.no_speech,
        duration=result.duration,
        words=result.words,
        job_id=job.id,
        warnings=job.warnings,
    )
