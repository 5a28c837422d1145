"""What goes into an engine and what comes out: frozen, and free of HTTP, Gradio and storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

MAX_SEED = 2**32 - 1
"""Seeds are 0 to 4,294,967,295, the range of the field's other tools."""

MAX_COUNT = 8
"""Most pictures of one request."""

MAX_PROMPT_CHARS = 4000
"""Longest prompt or negative prompt, in characters (about 1,000 CLIP tokens, 13 encoder chunks)."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One request for `count` pictures of one prompt.

    None in a recipe field means: the loaded model's own default. `seed` None or -1 draws one; picture i of a request
    has seed `seed + i` (modulo 2**32), so each can be made again alone. `width` and `height`: pixels, multiples of 8.
    """

    prompt: str
    negative_prompt: str = ""
    width: int = 1024
    height: int = 1024
    num_inference_steps: int | None = None
    """Denoising steps, 1 to 150."""
    guidance_scale: float | None = None
    """Classifier-free guidance, 1 (off) to 30."""
    sampler: str | None = None
    """A name of `engines.sdxl.samplers`, e.g. dpmpp_2m_karras, euler, euler_a."""
    seed: int | None = None
    count: int = 1
    init_image: Path | None = None
    """A picture file (PNG, JPEG, WebP) on this machine to start from: image to image. It must stay until the end."""
    init_image_sha256: str | None = None
    """The file's hash in hexadecimal digits, if it is known: recipes tell it."""
    strength: float = 0.6
    """How far from `init_image`, 0 < strength <= 1; only with `init_image`."""


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
    min_side: int = 64
    max_side: int = 2048


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """One finished picture. `recipe` holds everything needed to make it again, JSON types only."""

    image: Image.Image = field(repr=False)
    seed: int
    recipe: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """The pictures of one request, in seed order."""

    images: tuple[GeneratedImage, ...]
    seconds: float
    """Wall time in the engine."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. `step` of `total` in `stage`'s unit; `fraction` of the whole, 0 to 1."""

    stage: str
    """For images: encode, denoise, decode. For speech: decode, transcribe, upload."""
    step: int
    total: int
    fraction: float


ProgressCallback = Callable[[Progress], None]


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


@dataclass(frozen=True, slots=True)
class TranscribeRequest:
    """Transcribe one audio or video file."""

    path: str
    """A file on this machine, any container and codec that ffmpeg's libraries read."""
    filename: str = ""
    """The name the user gave it, for messages; never used to open anything."""
    language: str | None = None
    """BCP 47; None means the engine's own. A language the engine's model lacks is an InvalidRequest."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word: times in seconds from the start of the file, `confidence` 0 to 1."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Segment:
    """What the recogniser ended at a pause: words of one utterance, times in seconds."""

    text: str
    start: float
    end: float
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole file's text. No speech is `text == ""` and `no_speech`, never an error and never a sentence."""

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

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def no_speech(self) -> bool:
        return not self.text
