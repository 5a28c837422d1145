"""Small honest engines: they do what the protocols promise, on any machine, in no time.

`BlobEngine` draws a coloured disc, `EchoSpeech` says which tones it heard. Both step, report and look at `cancel` as
the real ones do, so what the app does around an engine can be tested without a model.
"""

from __future__ import annotations

import colorsys
import re
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from PIL import Image, ImageColor, ImageDraw

from engines.errors import Cancelled, InvalidMedia, InvalidRequest
from engines.events import OnEvent, OnProgress, Preview, Progress, SegmentHeard, ignore
from engines.limits import check_image
from engines.requests import ImageRequest, ListenRequest, TranscribeRequest
from engines.results import (
    GeneratedImage,
    Heard,
    ImageModelInfo,
    ImageResult,
    Recipe,
    Segment,
    SpeechModelInfo,
    Transcript,
    Unused,
    Word,
)
from engines.sdxl.photo import check_photo, load_photo

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

    def load(self, on_progress: OnProgress = ignore) -> None:
        on_progress(Progress("download", 1, 4, 0.25))
        self.load_gate.wait()

    def check(self, request: ImageRequest, photo: Path | None) -> tuple[Unused, ...]:
        check_image(request, self.info)
        if photo is not None:
            check_photo(photo)
        return ()

    def generate(self, request: ImageRequest, photo: Path | None, on_event: OnEvent, cancel: Event) -> ImageResult:
        self.check(request, photo)
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        try:
            started = time.monotonic()
            steps = request.num_inference_steps or self.steps
            colour = background(request, photo, cancel)
            for step in range(1, steps + 1):
                self._step(cancel, last=step == steps)
                on_event(Progress("denoise", step, steps, step / steps))
                on_event(Preview(disc((64, 64), colour, request.seed, step / steps), step, steps))
            images = tuple(self._image(request, colour, seed, with_photo=photo is not None) for seed in request.seeds)
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

    def _image(
        self, request: ImageRequest, colour: tuple[int, int, int], seed: int, *, with_photo: bool
    ) -> GeneratedImage:
        image = disc((request.width // 4, request.height // 4), colour, seed)
        recipe = Recipe(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            width=request.width,
            height=request.height,
            rendered_width=image.width,
            rendered_height=image.height,
            enlarged=False,
            num_inference_steps=request.num_inference_steps or self.steps,
            guidance_scale=request.guidance_scale or self.info.guidance_scale,
            sampler=request.sampler or self.info.sampler,
            seed=seed,
            model=self.info.name,
            demo=self.info.demo,
            photo_sha256=request.photo_sha256 if with_photo else None,
            photo_strength=request.photo_strength if with_photo else None,
        )
        return GeneratedImage(image, recipe)


def disc(size: tuple[int, int], colour: tuple[int, int, int], seed: int, grown: float = 1.0) -> Image.Image:
    """A disc in the seed's colour, `grown` to 0 to 1 of its size, on `colour`."""
    width, height = size
    image = Image.new("RGB", size, colour)
    radius = round(min(size) / 4 * grown)
    box = (width // 2 - radius, height // 2 - radius, width // 2 + radius, height // 2 + radius)
    ImageDraw.Draw(image).ellipse(box, fill=disc_colour(seed))
    return image


def disc_colour(seed: int) -> tuple[int, int, int]:
    """Bright, and far apart for neighbouring seeds (the golden ratio spreads them round the wheel)."""
    red, green, blue = colorsys.hsv_to_rgb((seed * 0.618034) % 1.0, 0.8, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def background(request: ImageRequest, photo: Path | None, cancel: Event) -> tuple[int, int, int]:
    """The photo's mean colour, or the first colour word of the prompt, or grey."""
    if photo is not None:
        pixel = load_photo(photo, 64, 64, cancel).resize((1, 1)).getpixel((0, 0))
        assert isinstance(pixel, tuple)
        return int(pixel[0]), int(pixel[1]), int(pixel[2])
    words = request.prompt.lower().replace(",", " ").split()
    name = next((word for word in words if word in COLOURS), "gray")
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue


@dataclass(slots=True)
class EchoSpeech:
    """Hears one word for every half second of sound that is not silence; two make a segment. Reads WAV only.

    It knows the words word1, word2, ... and no others, and takes turns between two speakers when it is asked for them.
    """

    gate: Event = field(default_factory=released)

    @property
    def info(self) -> SpeechModelInfo:
        return SpeechModelInfo(
            "echo", "Echo, a demo model that counts half seconds", demo=True, language="en", where="local"
        )

    def load(self) -> None:
        """Nothing to load."""

    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        if request.language not in (None, "", "en"):
            raise InvalidRequest("language", f"This model has no language {request.language!r}. It has: en.")
        unknown = [phrase for phrase in request.vocabulary if not re.fullmatch(r"word\d+", phrase)]
        if unknown and len(unknown) == len(request.vocabulary):
            raise InvalidRequest("vocabulary", "This model knows none of these words.")
        return (Unused("vocabulary", f"This model does not know {', '.join(unknown)}."),) if unknown else ()

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        self.check(request)
        halves = _half_seconds(file)
        words: list[Word] = []
        segments: list[Segment] = []
        for number, sound in enumerate(halves, start=1):
            if cancel.is_set():
                raise Cancelled
            if any(sound) and (not request.vocabulary or f"word{number}" in request.vocabulary):
                start = (number - 1) / 2
                words.append(Word(word=f"word{number}", start=start, end=start + 0.4, confidence=0.5 + 0.5 / number))
            on_event(Progress("transcribe", number, len(halves), number / len(halves)))
            if words and (len(words) == 2 or number == len(halves)):
                speaker = "AB"[len(segments) % 2] if request.speakers else None
                segments.append(_segment(words).model_copy(update={"speaker": speaker}))
                on_event(SegmentHeard(segments[-1]))
                words.clear()
        while not self.gate.wait(0.02):
            if cancel.is_set():
                raise Cancelled
        return Transcript(
            text=" ".join(segment.text for segment in segments),
            segments=tuple(segments),
            duration=len(halves) / 2,
            language="en",
            engine=self.info.name,
            where="local",
            demo=True,
        )

    def listen(self, request: ListenRequest, cancel: Event) -> EchoSession:
        return EchoSession(request.sample_rate, self.gate, cancel, request.vocabulary)

    def close(self) -> None:
        self.gate.set()


@dataclass(slots=True)
class EchoSession:
    """Hears as EchoSpeech does; a segment ends with its second word. Works on sound while `gate` is set."""

    sample_rate: int
    gate: Event
    cancel: Event
    vocabulary: tuple[str, ...] = ()
    closed: bool = False
    _rest: bytes = b""
    _halves: int = 0
    _words: list[Word] = field(default_factory=list)

    def accept(self, sound: bytes) -> Heard:
        while not self.gate.wait(0.02):
            if self.cancel.is_set():
                raise Cancelled
        self._rest += sound
        size = self.sample_rate // 2 * 2
        segments: list[Segment] = []
        while len(self._rest) >= size:
            half, self._rest = self._rest[:size], self._rest[size:]
            self._halves += 1
            if any(half) and (not self.vocabulary or f"word{self._halves}" in self.vocabulary):
                start = (self._halves - 1) / 2
                number = self._halves
                word = Word(word=f"word{number}", start=start, end=start + 0.4, confidence=0.5 + 0.5 / number)
                self._words.append(word)
            if len(self._words) == 2:
                segments.append(self._settled())
        return Heard(tuple(segments), " ".join(word.word for word in self._words), self._seconds)

    def flush(self) -> Heard:
        return Heard((self._settled(),) if self._words else (), "", self._seconds)

    def close(self) -> None:
        self.closed = True

    @property
    def _seconds(self) -> float:
        return self._halves / 2 + len(self._rest) / 2 / self.sample_rate

    def _settled(self) -> Segment:
        segment = _segment(self._words)
        self._words.clear()
        return segment


def _segment(words: list[Word]) -> Segment:
    text = " ".join(word.word for word in words)
    return Segment(text=text, start=words[0].start, end=words[-1].end, words=tuple(words))


def _half_seconds(path: Path) -> list[bytes]:
    try:
        with wave.open(str(path), "rb") as file:
            size = max(1, file.getframerate() // 2)
            return [file.readframes(size) for _ in range(-(-file.getnframes() // size))]
    except (wave.Error, EOFError) as error:
        raise InvalidMedia("file", "This file cannot be read as sound. This engine reads WAV.") from error
