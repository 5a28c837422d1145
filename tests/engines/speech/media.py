"""Files that people and attackers send."""

from __future__ import annotations

import os
import struct
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

DATA = Path(__file__).parents[2] / "data" / "speech"
MODEL = Path(__file__).parents[3] / "models" / "vosk-demo-en"
SENTENCES = ("sentence.wav", "sentence.mp3", "sentence.m4a", "sentence.ogg", "sentence.webm", "sentence.mp4")


def wav_bytes(
    *,
    rate: int = 16_000,
    channels: int = 1,
    seconds: float = 1.0,
    announced: int | None = None,
    data: bytes | None = None,
) -> bytes:
    """A 16-bit WAV file of silence whose header may lie: `announced` is its data size in bytes."""
    data = bytes(int(seconds * 16_000) * 2) if data is None else data
    size = len(data) if announced is None else announced
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2 % 2**32, channels * 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", min(size + 36, 2**32 - 1))
        + b"WAVEfmt "
        + head
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def repeated(path: Path, source: Path, times: int) -> Path:
    """A recording long enough to do something in the middle of it."""
    with wave.open(str(source), "rb") as file:
        parameters, frames = file.getparams(), file.readframes(file.getnframes())
    with wave.open(str(path), "wb") as out:
        out.setparams(parameters)
        for _ in range(times):
            out.writeframes(frames)
    return path


def silent_video(path: Path) -> Path:
    """An MP4 of pictures only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def timed_file(path: Path, starts: list[float], *, picture: bool) -> Path:
    """One second of a tone at each of the given seconds, nothing in between; a picture from 0 to 4 s if asked for."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10) if picture else None
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            for _ in range(40):
                frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        tone = (np.sin(np.arange(1024) * 2 * np.pi * 3 * 46.875 / 48_000) * 0.3).astype(np.float32)
        for start in starts:
            for at in range(47):
                sound = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
                sound.sample_rate, sound.time_base = 48_000, Fraction(1, 48_000)
                sound.pts = int(start * 48_000) + at * 1024
                container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path


def live_webm(seconds: float) -> bytes:
    """Silence as a browser records it: without a length in its header, because it could not go back to write one."""
    sink = _Sink()
    with av.open(sink, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, int(48_000 * seconds)), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return bytes(sink.data)


class _Sink:
    """A file that can only be written, never gone back in."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def _part(name: str, share: float) -> bytes:
    data = (DATA / name).read_bytes()
    return data[: int(len(data) * share)]


MALFORMED: dict[str, Callable[[], bytes]] = {
    "zero-bytes.wav": lambda: b"",
    "text.wav": lambda: b"Dear sir, please find attached.\n" * 50,
    "nulls.mp3": lambda: bytes(5000),
    "random.ogg": lambda: bytes((i * i * 7 + i // 3) % 251 for i in range(20_000)),
    "picture.mp3": lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "header-cut.wav": lambda: wav_bytes()[:30],
    "no-samples.wav": lambda: wav_bytes(data=b""),
    "no-channels.wav": lambda: wav_bytes(channels=0),
    "rate-0.wav": lambda: wav_bytes(rate=0),
    "rate-1.wav": lambda: wav_bytes(rate=1),
    "rate-4-billion.wav": lambda: wav_bytes(rate=4_000_000_000),
    "blink.wav": lambda: wav_bytes(seconds=0.02),
    "cut.mp3": lambda: (DATA / "sentence.mp3").read_bytes()[:400],
    "cut.m4a": lambda: _part("sentence.m4a", 0.5),
    "cut.webm": lambda: (DATA / "sentence.webm").read_bytes()[:200],
    "playlist.m3u8": lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "concat.ffconcat": lambda: b"ffconcat version 1.0\nfile /etc/passwd\n",
    "page.html": lambda: b"<!doctype html><html><body>404</body></html>",
    "archive.mp4": lambda: b"PK\x03\x04" + os.urandom(3000),
}
"""What each file holds, by the name a user might give it."""
