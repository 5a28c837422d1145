"""What a person made of a transcript: kept beside it, with times of its own, and nothing of the original changed."""

from __future__ import annotations

from collections.abc import Sequence

from app.jobs.model import Edit
from engines.errors import InvalidRequest
from engines.results import Result, Segment, Transcript
from engines.speech.edit import realigned
from engines.speech.paragraphs import paragraphs


class Corrections(Result):
    """A corrected transcript, a segment for each paragraph; as it is stored."""

    segments: tuple[Segment, ...]


def corrected(result: Transcript, text: str) -> str:
    """The corrections that make `text` of the transcript, a line for each paragraph, as they are stored.

    Raises InvalidRequest for a text without words.
    """
    heard = paragraphs(result.segments)
    segments = tuple(_spoken(segment, heard) for segment in realigned(heard, text))
    if not segments:
        raise InvalidRequest("text", "text has no words: send DELETE to go back to what was heard.")
    return Corrections(segments=segments).model_dump_json()


def _spoken(segment: Segment, heard: Sequence[Segment]) -> Segment:
    """With the speaker whose paragraph it begins in, if speakers are known."""
    if not any(one.speaker for one in heard):
        return segment
    begun = [one for one in heard if one.start <= segment.start + 0.001]
    return segment.model_copy(update={"speaker": (begun or heard)[-1 if begun else 0].speaker})


def latest(result: Transcript, edit: Edit) -> Transcript:
    """The transcript as it was edited last; itself where it was not. Of an edited one each segment is a paragraph."""
    heard = Transcript(**{name: getattr(result, name) for name in Transcript.model_fields})
    if edit.content is None:
        return heard
    segments = Corrections.model_validate_json(edit.content).segments
    return heard.model_copy(update={"segments": segments, "text": "\n".join(segment.text for segment in segments)})


def paragraphs_of(transcript: Transcript, edit: Edit) -> tuple[Segment, ...]:
    """One segment a paragraph, of what `latest` gave."""
    return paragraphs(transcript.segments) if edit.content is None else transcript.segments
