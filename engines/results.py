"""What comes out of an engine, and what is known of one before it works."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, computed_field

from engines.requests import Seed


class Result(BaseModel):
    """Base of what is stored and answered: frozen, in JSON under the same names."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Unused:
    """Something that was asked for and has no effect: the field, and a sentence that says why."""

    field: str
    message: str


class Recipe(Result):
    """Everything needed to make one picture again."""

    prompt: str
    """What the model was given: with a preset's words, without the user's mistakes of syntax."""
    negative_prompt: str
    width: int
    height: int
    rendered_width: int
    """Pixels at which the model worked, before the exact size was cut or enlarged."""
    rendered_height: int
    enlarged: bool
    num_inference_steps: int
    guidance_scale: float
    sampler: str
    seed: Seed
    model: str
    demo: bool
    photo_sha256: str | None = None
    """Of the photo that it started from, in hexadecimal digits."""
    photo_strength: float | None = None
    preset: str | None = None
    """Id of the preset whose words and settings are in it."""


@dataclass(frozen=True, slots=True)
class ImageModelInfo:
    """What a model is and can do; known before its weights are loaded."""

    name: str
    label: str
    """One line for a person; a demo model says here that it is one."""
    demo: bool
    device: str
    """cpu, cuda:0, mps."""
    sizes: tuple[tuple[int, int], ...]
    """Trained sizes (width, height) in pixels. With `fixed_sizes`, others are rendered at the nearest and enlarged."""
    fixed_sizes: bool
    num_inference_steps: int
    guidance_scale: float
    sampler: str
    samplers: tuple[str, ...]
    own_recipe: bool
    """True when a preset's steps, guidance and sampler do not fit this model and its own defaults should be used."""
    max_pixels: int
    """Largest width x height of a request."""
    stages: frozenset[str] = frozenset()
    """Further stages that it can run on request, by name: hires_fix, refiner, face_restoration, upscale."""


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """One finished picture."""

    image: Image.Image = field(repr=False)
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class ImageResult:
    """The pictures of one request, in seed order."""

    images: tuple[GeneratedImage, ...]
    seconds: float
    """Wall time in the engine."""


@dataclass(frozen=True, slots=True)
class SpeechModelInfo:
    """What a speech engine is: where it runs and what it understands."""

    name: str
    label: str
    demo: bool
    language: str
    """BCP 47, e.g. en or en-US."""
    where: str
    """local or cloud-run."""
    others: tuple[SpeechModelInfo, ...] = ()
    """Models of the same engine for other languages, or regions of its own."""


class Word(Result):
    """One word: times in seconds from the start of the file."""

    word: str
    start: float
    end: float
    confidence: float = Field(ge=0, le=1)


class Segment(Result):
    """What the recogniser ended at a pause: words of one utterance, times in seconds."""

    text: str
    start: float
    end: float
    words: tuple[Word, ...]
    speaker: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """A letter, A for who speaks first; absent where nobody asked, and where it is too short to tell."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a live session knows after some more sound."""

    segments: tuple[Segment, ...] = ()
    """What this sound has settled. Times in seconds from the session's start."""
    partial: str = ""
    """What the sound after the last segment seems to say; the next sound may change it."""
    seconds: float = 0.0
    """Of sound, since the session's start."""


class Corrected(Result):
    """Where a correction was made: times in seconds, what the model heard, and what stands there instead."""

    start: float
    end: float
    heard: str
    written: str


class Transcript(Result):
    """A whole file's text. No speech is `text == ""`, never an error and never a sentence."""

    text: str
    segments: tuple[Segment, ...]
    duration: float
    """Length of the audio, seconds."""
    language: str
    engine: str
    """Name of the model that did the work."""
    where: str
    """local or cloud-run: where the work was really done."""
    demo: bool
    note: str = ""
    """Something the user should know: a fall-back that happened, a demo model."""
    corrections: tuple[Corrected, ...] = ()
    """What stands otherwise in it than the model heard it, in order of time."""

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def no_speech(self) -> bool:
        return not self.text
