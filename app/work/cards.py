"""What lists show of a result: enough for a tile, a few hundred bytes."""

from __future__ import annotations

from pydantic import Field

from app.jobs.model import Edit, Listing
from app.work.corrections import latest
from engines.results import Result, Transcript

MAX_CHARS = 200
"""Of words on a card: three lines of a tile."""


class PictureCard(Result):
    """One picture: its bytes are at `/files/{file_id}`; size in pixels."""

    file_id: str
    seed: int
    width: int
    height: int


class PicturesCard(Result):
    """A job's pictures, and what they are of."""

    words: str = Field(description="The prompt, or the post's title; its beginning where it is long")
    images: tuple[PictureCard, ...]


class TranscriptCard(Result):
    """A transcript's beginning, as it was corrected last."""

    filename: str
    beginning: str = Field(description="The first words; empty where no speech was found")
    language: str
    duration: float = Field(description="Of the sound, in seconds")


def listed_transcript(transcript: Transcript, filename: str, edit: Edit) -> Listing:
    """A transcript is found by its words, as they were corrected last, and by the recording's name."""
    text = latest(transcript, edit).text
    card = TranscriptCard(
        filename=filename,
        # More than is shown: gaps go.
        beginning=shortened(text[: 3 * MAX_CHARS]),
        language=transcript.language,
        duration=transcript.duration,
    )
    return Listing(words=f"{filename}\n{text}", preset="", model=transcript.engine, card=card)


def shortened(text: str) -> str:
    """On one line, as much of it as a card has."""
    return " ".join(text.split())[:MAX_CHARS]
