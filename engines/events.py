"""What an engine tells while it works. The list is open: whoever passes events on need not know their types."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any, ClassVar, Protocol

from PIL import Image

from engines.results import Segment

PREVIEW_SIDE = 256
"""Longest side of a preview, pixels; as WebP that is about 5 kB."""


class Event(Protocol):
    """One thing that an engine has to tell."""

    type: ClassVar[str]
    """Its name for programs: progress, preview, segment."""

    def data(self) -> dict[str, Any]:
        """Its content, JSON types only. May take milliseconds, for which the reader waits and never the engine."""


OnEvent = Callable[[Event], None]
"""Takes an event at once: an engine's thread waits for it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is: `step` of `total` in `stage`'s unit, `fraction` of the whole, 0 to 1."""

    type: ClassVar[str] = "progress"

    stage: str
    """For images: encode, denoise, decode. For speech: upload, transcribe."""
    step: int
    total: int
    fraction: float

    def data(self) -> dict[str, Any]:
        return {"stage": self.stage, "step": self.step, "total": self.total, "fraction": round(self.fraction, 4)}


OnProgress = Callable[[Progress], None]


def ignore(_: Event) -> None:
    """For work that nobody watches."""


@dataclass(frozen=True)
class Preview:
    """What a picture looks like so far, small and rough. Only the first of several pictures has previews."""

    type: ClassVar[str] = "preview"

    image: Image.Image = field(repr=False)
    step: int
    total: int

    @cached_property
    def uri(self) -> str:
        """A data URI of a WebP picture of at most PREVIEW_SIDE pixels a side."""
        small = self.image.convert("RGB")
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        out = BytesIO()
        small.save(out, "WEBP", quality=70, method=0)
        return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"

    def data(self) -> dict[str, Any]:
        return {"step": self.step, "total": self.total, "image": self.uri}


@dataclass(frozen=True, slots=True)
class SegmentHeard:
    """One more segment of a transcript. They come in the order of the text."""

    type: ClassVar[str] = "segment"

    segment: Segment

    def data(self) -> dict[str, Any]:
        return self.segment.model_dump(mode="json")
