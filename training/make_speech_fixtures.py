"""Makes tests/data/speech: one spoken sentence in six formats, and a few other recordings; and the page's example.

`python -m training.make_speech_fixtures`, with espeak-ng installed (apt-get install espeak-ng). Everything spoken is in
the demo model's vocabulary. sentences.json says what is said in each file.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

from training.speech_demo.vocabulary import in_vocabulary

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "data" / "speech"
EXAMPLE_FILE = Path(__file__).resolve().parents[1] / "app" / "ui" / "static" / "example.ogg"

EXAMPLE = ("good morning and welcome to the carrot app", "please send a voice message to my friend")
"""What is said in the recording that the page offers."""

SENTENCE = "hello this is a test of the voice message"
DIGITS = "zero one two three four five six seven eight nine"
LONGER = (
    "good morning today the weather is sunny",
    "welcome to the carrot app",
    "please send a voice message to my friend",
    "create a new post with a hero image",
    "show me the photo of the day",
    "play the next song",
    "what time is it now",
    "open the app and edit a comment",
    "this is not a test",
    "thanks for the message",
    "good evening how are you",
)

TURNS = (
    "good morning today the weather is sunny",
    "welcome to the carrot app please send a voice message to my friend",
    "create a new post with a hero image",
    "show me the photo of the day",
    "what time is it now open the app and edit a comment",
    "thanks for the message good evening how are you",
)
"""Said by two voices in turn."""

VOICES = ("en-us", "en-us+f3")

FORMATS = {
    "turns.ogg": ("libopus", 48000, 24000),
    "sentence.mp3": ("libmp3lame", 44100, 64000),
    "sentence.m4a": ("aac", 44100, 64000),
    "sentence.ogg": ("libopus", 48000, 32000),
    "sentence.webm": ("libopus", 48000, 32000),
    "sentence.mp4": ("aac", 44100, 64000),
}
"""File -> audio codec, sample rate in Hz, bits a second. The .mp4 gets a video track too."""

PAUSE_SECONDS = 0.9
VIDEO_RATE, VIDEO_SIDE = 10, 64

Samples = NDArray[np.int16]
"""Shape (n,), mono."""


def speak(text: str, voice: str = VOICES[0]) -> tuple[Samples, int]:
    """A text in a voice of espeak-ng's, and its sample rate, with 0.2 s of silence before and 0.4 s after."""
    if not in_vocabulary(text):
        raise ValueError(f"{text!r} has a word that the demo model does not know: use words of training.speech_demo")
    command = ["espeak-ng", "-v", voice, "-s", "150", "--stdout", text]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return np.pad(samples, (rate // 5, rate * 2 // 5)), rate


def frames(samples: Samples, rate: int, out_rate: int, channels: int, planar: str) -> Iterator[av.AudioFrame]:
    """The samples as frames of another rate, layout and sample format."""
    layout = "stereo" if channels == 2 else "mono"
    resampler = av.AudioResampler(format=planar, layout=layout, rate=out_rate)
    whole = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
    whole.sample_rate = rate
    whole.pts = 0
    yield from resampler.resample(whole)
    yield from resampler.resample(None)


def write_wav(path: Path, samples: Samples, rate: int, channels: int = 1) -> None:
    """16-bit PCM; mono samples are repeated on every channel."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples, channels).astype("<i2").tobytes())


def resampled(samples: Samples, rate: int, out_rate: int) -> Samples:
    """Mono samples at another rate."""
    pieces = [frame.to_ndarray()[0] for frame in frames(samples, rate, out_rate, 1, "s16")]
    return np.concatenate(pieces)


def write_encoded(path: Path, samples: Samples, rate: int) -> None:
    """Stereo in the codec of FORMATS, in the container that the name says; an .mp4 gets a picture that brightens."""
    codec, out_rate, bit_rate = FORMATS[f"sentence{path.suffix}"]
    with av.open(str(path), "w") as container:
        video = add_video(container) if path.suffix == ".mp4" else None
        audio = cast(av.AudioStream, container.add_stream(codec, rate=out_rate, layout="stereo"))
        audio.bit_rate = bit_rate
        if video is not None:
            for picture in pictures(seconds=len(samples) / rate):
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        for frame in frames(samples, rate, out_rate, 2, audio.format.name):
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def add_video(container: av.container.OutputContainer) -> av.VideoStream:
    """A track for `pictures`."""
    video = container.add_stream("libx264", rate=VIDEO_RATE)
    video.width = video.height = VIDEO_SIDE
    video.pix_fmt = "yuv420p"
    return video


def pictures(seconds: float) -> Iterator[av.VideoFrame]:
    """A small grey square that brightens."""
    count = round(seconds * VIDEO_RATE)
    for i in range(count):
        picture = np.full((VIDEO_SIDE, VIDEO_SIDE, 3), 40 + 160 * i // count, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = i, Fraction(1, VIDEO_RATE)
        yield frame


def main() -> int:
    """Write all files and sentences.json."""
    if shutil.which("espeak-ng") is None:
        print("espeak-ng is not installed. Run: apt-get install espeak-ng", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    spoken = {"sentence.wav": SENTENCE, **dict.fromkeys(FORMATS, SENTENCE), "turns.ogg": " ".join(TURNS)}
    samples, rate = speak(SENTENCE)
    write_wav(FOLDER / "sentence.wav", resampled(samples, rate, 44100), 44100, channels=2)
    for name in FORMATS.keys() - {"turns.ogg"}:
        write_encoded(FOLDER / name, samples, rate)
    digits, rate = speak(DIGITS)
    write_wav(FOLDER / "digits.wav", digits, rate)
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.int16)
    longer = np.concatenate([piece for text in LONGER for piece in (speak(text)[0], pause)])
    turns = [(speak(text, VOICES[number % len(VOICES)])[0], pause) for number, text in enumerate(TURNS)]
    write_encoded(FOLDER / "turns.ogg", np.concatenate([piece for turn in turns for piece in turn]), rate)
    write_wav(FOLDER / "longer.wav", resampled(longer, rate, 16000), 16000)
    said = np.concatenate([piece for text in EXAMPLE for piece in (speak(text)[0], pause)])
    write_encoded(EXAMPLE_FILE, said, rate)
    write_wav(FOLDER / "silence.wav", np.zeros(2 * 16000, np.int16), 16000)
    noise = np.random.default_rng(1).normal(0, 100, 2 * 16000).round().astype(np.int16)
    write_wav(FOLDER / "noise.wav", noise, 16000)
    spoken |= {"digits.wav": DIGITS, "longer.wav": " ".join(LONGER), "silence.wav": "", "noise.wav": ""}
    (FOLDER / "sentences.json").write_text(json.dumps(spoken, indent=2) + "\n", encoding="utf-8")
    for name in sorted(spoken):
        print(f"{name}: {(FOLDER / name).stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
