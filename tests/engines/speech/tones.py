"""Recordings of short tones at known times, in any container, and what is heard of them.

Each tone has a pitch of its own, so that one that is lost, moved, cut or heard twice shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from engines.speech.audio import open_audio
from engines.speech.mono import SAMPLE_RATE

PITCHES = (500, 900, 1300, 1700)
"""Hz: telephones let all of them through, and none is a multiple of another."""

STARTS = (0.4, 1.0, 1.6, 2.2)
TONE_SECONDS = 0.3
SECONDS = 2.8
"""The recording's whole length."""

TIGHT = 0.030
"""Seconds by which a time may be wrong: less than a short vowel."""

_WINDOW = 0.016

Sound = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """One sound track. A tone n begins at `starts[n]`, seconds; in `gaps` there are no packets at all."""

    starts: tuple[float, ...] = STARTS
    seconds: float = SECONDS
    codec: str = ""
    rate: int = 48_000
    layout: str = "mono"
    delay: float = 0.0
    gaps: tuple[tuple[float, float], ...] = ()
    pitches: tuple[int, ...] = PITCHES
    language: str = ""
    default: bool | None = None
    options: dict[str, str] = field(default_factory=dict)
    sound: Sound | None = None
    """Samples of -1 to 1 to be heard instead of tones."""


@dataclass(frozen=True)
class Picture:
    """A video track beside the sound."""

    codec: str = "mpeg4"
    delay: float = 0.0
    seconds: float = SECONDS
    b_frames: int = 0


def tones(track: Track) -> Sound:
    """Shape (n,), -1 to 1: silence with the track's tones, times counted from the track's own beginning."""
    if track.sound is not None:
        return track.sound
    sound = np.zeros(round(track.seconds * track.rate))
    for pitch, start in zip(track.pitches, track.starts, strict=False):
        count, at = round(TONE_SECONDS * track.rate), round(start * track.rate)
        sound[at : at + count] = 0.4 * np.sin(np.arange(count) * 2 * np.pi * pitch / track.rate)
    return sound


def write(
    target: Path | IO[bytes] | Any,
    kind: str,
    *tracks: Track,
    picture: Picture | None = None,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """A recording. `kind`: ffmpeg's name of the container. `target` may be a pipe-like object with only `write`."""
    file = str(target) if isinstance(target, Path) else target
    with av.open(file, "w", format=kind, options=options or {}) as container:
        container.metadata.update(metadata or {})
        video = _video(container, picture) if picture else None
        sound = [_audio(container, track, kind) for track in tracks]
        packets = [packet for stream, track in zip(sound, tracks, strict=True) for packet in _encoded(stream, track)]
        if video is not None and picture is not None:
            packets += _pictures(video, picture)
        container.start_encoding()
        # As a recorder writes them: in the order of their times.
        for packet in sorted(packets, key=_when):
            container.mux(packet)


def written(kind: str, *tracks: Track, **more: Any) -> bytes:
    file = BytesIO()
    write(file, kind, *(tracks or (Track(),)), **more)
    return file.getvalue()


def _when(packet: Packet[Any]) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return float((stamp or 0) * (packet.time_base or 1))


def _audio(container: OutputContainer, track: Track, kind: str) -> AudioStream:
    codec = track.codec or CODECS.get(kind) or container.default_audio_codec
    stream = container.add_stream(codec, rate=track.rate, layout=track.layout, options=track.options)
    assert isinstance(stream, AudioStream)
    if codec == "wmav2":
        stream.bit_rate = 64_000
    if track.language:
        stream.metadata["language"] = track.language
    if track.default is not None:
        stream.disposition = av.stream.Disposition.default if track.default else av.stream.Disposition(0)
    return stream


def _encoded(stream: AudioStream, track: Track) -> Iterator[Packet[Any]]:
    context = stream.codec_context
    context.open(strict=False)
    size = context.frame_size or 1024
    layout = av.AudioLayout(track.layout)
    sound = (tones(track) * 32_767).astype(np.int16)
    whole = -(-len(sound) // size) * size
    sound = np.pad(sound, (0, whole - len(sound)))
    resampler = av.AudioResampler(format=context.format, layout=track.layout, rate=track.rate)
    for at in range(0, whole, size):
        second = at / track.rate
        if any(begin <= second < end for begin, end in track.gaps):
            continue
        block = np.repeat(sound[at : at + size], layout.nb_channels)[None]
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=track.layout)
        frame.sample_rate, frame.time_base = track.rate, Fraction(1, track.rate)
        for converted in resampler.resample(frame):
            converted.pts = at + round(track.delay * track.rate)
            converted.time_base = Fraction(1, track.rate)
            yield from stream.encode(converted)
    yield from stream.encode(None)


def _video(container: OutputContainer, picture: Picture) -> VideoStream:
    fast = {"deadline": "realtime", "cpu-used": "8"} if picture.codec == "libvpx" else {}
    stream = container.add_stream(picture.codec, rate=25, options=fast)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    stream.codec_context.max_b_frames = picture.b_frames
    return stream


def _pictures(stream: VideoStream, picture: Picture) -> list[Packet[Any]]:
    packets = []
    for number in range(round(picture.seconds * 25)):
        frame = av.VideoFrame.from_ndarray(np.full((96, 64), number * 3 % 256, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = number + round(picture.delay * 25), Fraction(1, 25)
        packets += stream.encode(frame)
    return packets + list(stream.encode(None))


CODECS = {
    "3gp": "libopencore_amrnb",
    "adts": "aac",
    "aiff": "pcm_s16be",
    "asf": "wmav2",
    "au": "pcm_s16be",
    "avi": "libmp3lame",
    "caf": "pcm_s16be",
    "latm": "aac",
    "matroska": "libopus",
    "mov": "pcm_s16le",
    "mp3": "libmp3lame",
    "mpegts": "aac",
    "nut": "libmp3lame",
    "ogg": "libopus",
    "rm": "ac3",
    "sox": "pcm_s32le",
    "webm": "libopus",
}
"""Where the container's own default is none that people meet, or none that this ffmpeg can write."""

RATES = {"libopencore_amrnb": 8_000, "adpcm_g722": 16_000, "g726": 8_000, "pcm_alaw": 8_000, "pcm_mulaw": 8_000}


def track(kind: str, codec: str = "", **more: Any) -> Track:
    """One at a rate that its codec takes."""
    codec = codec or CODECS.get(kind, "")
    return Track(codec=codec, rate=more.pop("rate", RATES.get(codec, 48_000 if kind != "flv" else 44_100)), **more)


@dataclass(frozen=True)
class Heard:
    """What comes out of a file. `tones`: the pitches in order, each with its beginning and end in seconds."""

    tones: tuple[tuple[int, float, float], ...]
    seconds: float
    notes: tuple[str, ...]
    estimate: float | None


def hear(path: Path, max_seconds: float = 1000.0) -> Heard:
    with open_audio(path) as audio:
        sound = np.frombuffer(b"".join(audio.blocks(max_seconds)), "<i2").astype(np.float64) / 32_768
        return Heard(tuple(found_in(sound)), audio.seconds, audio.notes, audio.estimate)


def found_in(sound: Sound, pitches: Sequence[int] = PITCHES) -> list[tuple[int, float, float]]:
    """Each tone of at least 50 ms, by its beginning. The box window is centred: its half height is at the edge."""
    found = []
    width = round(_WINDOW * SAMPLE_RATE)
    clock = np.arange(len(sound)) / SAMPLE_RATE
    for pitch in pitches:
        turned = np.concatenate([[0], np.cumsum(sound * np.exp(-2j * np.pi * pitch * clock))])
        if len(turned) <= width:
            continue
        level = np.abs(turned[width:] - turned[:-width]) / width
        if level.max() < 0.05:  # a quarter of a tone: what leaks over from another pitch is less
            continue
        over = np.concatenate([[False], level > level.max() / 2, [False]])
        edges = np.flatnonzero(over[1:] != over[:-1]) + width // 2
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            if end - begin > 0.05 * SAMPLE_RATE:
                found.append((pitch, begin / SAMPLE_RATE, end / SAMPLE_RATE))
    return sorted(found, key=lambda tone: tone[1])


def expected(track: Track, begin: float = 0.0) -> list[tuple[int, float, float]]:
    """The tones of a track, heard from `begin` seconds on."""
    return [
        (pitch, begin + start, begin + start + TONE_SECONDS)
        for pitch, start in zip(track.pitches, track.starts, strict=False)
    ]


def worst(heard: Heard, wanted: list[tuple[int, float, float]]) -> float:
    """Seconds by which the worst edge is wrong; infinite for another sequence of tones."""
    if [tone[0] for tone in heard.tones] != [tone[0] for tone in wanted]:
        return float("inf")
    return max(
        (
            abs(a - b)
            for got, want in zip(heard.tones, wanted, strict=True)
            for a, b in zip(got[1:], want[1:], strict=True)
        ),
        default=0.0,
    )
