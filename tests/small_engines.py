"""Small honest engines: they do what the protocols promise, on any machine, in no time.

`BlobEngine` draws a coloured disc, `EchoSpeech` says which tones it heard. Both step, report and look at `cancel` as
the real ones do, so what the app does around an engine can be tested without a model.
"""

from __future__ import annotations

import colorsys
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from PIL import Image, ImageColor, ImageDraw

from engines.errors import Cancelled, InvalidMedia, InvalidRequest
from engines.sdxl.photo import check_photo, load_photo
from engines.types import (
    MAX_COUNT,
    MAX_PROMPT_CHARS,
    MAX_SEED,
    GeneratedImage,
    ImageModelInfo,
    ImageRequest,
    ImageResult,
    Progress,
    ProgressCallback,
    Segment,
    SpeechModelInfo,
    TranscribeRequest,
    Transcript,
    Word,
)

COLOURS = ("red", "green", "blue", "yellow", "purple", "black", "white")
SAMPLERS = ("euler", "euler_a")


def released() -> Event:
    """A gate that is open."""
    gate = Event()
    gate.set()
    return gate


@dataclass(slots=True)
class BlobEngine:
    """Draws a disc in the seed's colour; the first colour in the prompt is the background.

    Work stops before the last step until `gate` is set, so that a test can look at a running job for as long as it
    likes. `most_at_once` counts jobs inside `generate`, to catch an overlap.
    """

    steps: int = 8
    step_seconds: float = 0.0
    gate: Event = field(default_factory=released)
    load_gate: Event = field(default_factory=released)
    most_at_once: int = 0
    _inside: int = 0

    @property
    def info(self) -> ImageModelInfo:
        return ImageModelInfo(
            name="blob",
            label="Blob, a demo model that draws one disc",
            demo=True,
            device="cpu",
            sizes=((256, 256), (384, 216)),
            fixed_sizes=True,
            num_inference_steps=self.steps,
            guidance_scale=4.0,
            sampler="euler",
            samplers=SAMPLERS,
            own_recipe=True,
            max_pixels=2048 * 2048,
        )

    def load(self) -> None:
        self.load_gate.wait()

    def check(self, request: ImageRequest) -> None:
        for name, text in (("prompt", request.prompt), ("negative_prompt", request.negative_prompt)):
            if len(text) > MAX_PROMPT_CHARS:
                raise InvalidRequest(name, f"The {name} is longer than {MAX_PROMPT_CHARS} characters. Shorten it.")
            if "\x00" in text:
                raise InvalidRequest(name, f"The {name} holds a null character. Remove it.")
        if not 1 <= request.count <= MAX_COUNT:
            raise InvalidRequest("count", f"count is {request.count}; give 1 to {MAX_COUNT}.")
        if request.seed is not None and not -1 <= request.seed <= MAX_SEED:
            raise InvalidRequest("seed", f"seed is {request.seed}; give 0 to {MAX_SEED}, or -1 for a random one.")
        if request.num_inference_steps is not None and not 1 <= request.num_inference_steps <= 150:
            raise InvalidRequest("num_inference_steps", "num_inference_steps must be 1 to 150.")
        if not 0 < request.strength <= 1:
            raise InvalidRequest("strength", "strength must be more than 0 and at most 1.")
        if request.init_image is not None:
            check_photo(request.init_image)

    def generate(self, request: ImageRequest, on_progress: ProgressCallback, cancel: Event) -> ImageResult:
        self.check(request)
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        try:
            started = time.monotonic()
            steps = request.num_inference_steps or self.steps
            colour = background(request, cancel)
            for step in range(1, steps + 1):
                self._step(cancel, last=step == steps)
                on_progress(Progress("denoise", step, steps, step / steps))
            first = int(time.time_ns() % MAX_SEED) if request.seed in (None, -1) else request.seed or 0
            images = tuple(self._image(request, colour, (first + i) % (MAX_SEED + 1)) for i in range(request.count))
            return ImageResult(images, time.monotonic() - started)
        finally:
            self._inside -= 1

    def close(self) -> None:
        self.gate.set()

    def _step(self, cancel: Event, *, last: bool) -> None:
        if cancel.wait(self.step_seconds):
            raise Cancelled
        while last and not self.gate.wait(0.02):
            if cancel.is_set():
                raise Cancelled

    def _image(self, request: ImageRequest, colour: tuple[int, int, int], seed: int) -> GeneratedImage:
        width, height = request.width // 4, request.height // 4
        image = Image.new("RGB", (width, height), colour)
        radius = min(width, height) // 4
        box = (width // 2 - radius, height // 2 - radius, width // 2 + radius, height // 2 + radius)
        ImageDraw.Draw(image).ellipse(box, fill=disc_colour(seed))
        recipe = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "seed": seed,
            "width": request.width,
            "height": request.height,
            "num_inference_steps": request.num_inference_steps or self.steps,
            "guidance_scale": request.guidance_scale or self.info.guidance_scale,
            "sampler": request.sampler or self.info.sampler,
            "model": self.info.name,
            "strength": None if request.init_image is None else request.strength,
        }
        return GeneratedImage(image, seed, recipe)


def disc_colour(seed: int) -> tuple[int, int, int]:
    """Bright, and far apart for neighbouring seeds (the golden ratio spreads them round the wheel)."""
    red, green, blue = colorsys.hsv_to_rgb((seed * 0.618034) % 1.0, 0.8, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def background(request: ImageRequest, cancel: Event) -> tuple[int, int, int]:
    """The photo's mean colour, or the first colour word of the prompt, or grey."""
    if request.init_image is not None:
        pixel = load_photo(request.init_image, 64, 64, cancel).resize((1, 1)).getpixel((0, 0))
        assert isinstance(pixel, tuple)
        return int(pixel[0]), int(pixel[1]), int(pixel[2])
    words = request.prompt.lower().replace(",", " ").split()
    name = next((word for word in words if word in COLOURS), "gray")
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue


@dataclass(slots=True)
class EchoSpeech:
    """Hears one word for every half second of sound that is not silence. Reads WAV only."""

    gate: Event = field(default_factory=released)

    @property
    def info(self) -> SpeechModelInfo:
        return SpeechModelInfo(
            "echo", "Echo, a demo model that counts half seconds", demo=True, language="en", where="local"
        )

    def load(self) -> None:
        """Nothing to load."""

    def check(self, request: TranscribeRequest) -> None:
        if request.language not in (None, "", "en"):
            raise InvalidRequest("language", f"This model has no language {request.language!r}. It has: en.")

    def transcribe(self, request: TranscribeRequest, on_progress: ProgressCallback, cancel: Event) -> Transcript:
        self.check(request)
        halves = _half_seconds(Path(request.path))
        words = []
        for number, sound in enumerate(halves):
            if cancel.is_set():
                raise Cancelled
            if any(sound):
                words.append(Word(f"word{number + 1}", number / 2, number / 2 + 0.4, 0.5 + 0.5 / (number + 1)))
            on_progress(Progress("transcribe", number + 1, len(halves), (number + 1) / len(halves)))
        while not self.gate.wait(0.02):
            if cancel.is_set():
                raise Cancelled
        text = " ".join(word.word for word in words)
        segments = (Segment(text, 0.0, len(halves) / 2, tuple(words)),) if words else ()
        return Transcript(text, segments, len(halves) / 2, "en", self.info.name, "local", demo=True)

    def close(self) -> None:
        self.gate.set()


def _half_seconds(path: Path) -> list[bytes]:
    try:
        with wave.open(str(path), "rb") as file:
            size = max(1, file.getframerate() // 2)
            return [file.readframes(size) for _ in range(-(-file.getnframes() // size))]
    except (wave.Error, EOFError) as error:
        raise InvalidMedia("file", "This file cannot be read as sound. This engine reads WAV.") from error
