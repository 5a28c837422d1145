"""Opens the files of strangers: only a named set of containers, and nothing but the file itself.

Finds their sound tracks, and what their headers claim.
"""

from __future__ import annotations

from typing import IO, NoReturn

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from engines.errors import InvalidMedia
from engines.speech.joined import Part, Window, id3_length, mp3_tells_length

# The containers that people have. Playlists (hls, dash, concat) are left out because they make ffmpeg open other
# addresses, pictures and subtitles because they hold no sound.
CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,asf_o,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,"
    "loas,matroska,mov,mp3,mpeg,mpegts,mpc,mpc8,mxf,nut,ogg,rm,sox,tak,truehd,tta,voc,"
    "w64,wav,wv"
)
"""ffmpeg's names, as its option takes them."""

CERTAIN_LENGTHS = frozenset({"mov", "flac", "aiff", "au", "caf", "w64", "wv", "ape", "tta", "tak", "dsf"})
"""ffmpeg's names of containers that store their sound's length. Of the others it is guessed from the bit rate, or it is
the longest track's."""

PROBE_OPTIONS = {"probesize": "20000000", "analyzeduration": "60000000"}
"""Bytes and microseconds that are looked at for tracks: sound may begin long after the picture."""

_BRANDS_BYTES = 64
"""Bytes that hold the brands of an MP4."""

MIN_RATE, MAX_RATE = 4_000, 768_000
"""Sample rates in Hz that recordings really have. A rate of 1 Hz would blow one second up to hours."""

MAX_CHANNELS = 64
"""As many as ffmpeg mixes."""

NOT_MEDIA = (
    "This file cannot be read as sound or video: it is damaged, incomplete or of another kind than its name says. "
    "Send for example WAV, MP3, M4A, Ogg, WebM or MP4."
)


def open_container(file: IO[bytes], part: Part) -> InputContainer:
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "pipe", **PROBE_OPTIONS}
    if part.open_ended:
        options["ignore_length"] = "1"
    if not part.edited:
        options["ignore_editlist"] = "1"
    if _is_smooth(Window(file, part).read(_BRANDS_BYTES)):
        options["use_mfra_for"] = "pts"
    try:
        return av.open(
            Window(file, part),
            mode="r",
            options=options,
            metadata_errors="ignore",
            io_open=_refuse_to_open,
        )
    except av.FFmpegError as error:
        raise InvalidMedia("file", NOT_MEDIA) from error


def _is_smooth(head: bytes) -> bool:
    """Whether a file begins as those of Smooth Streaming do, whose fragments have their times in an index at the end
    (`mfra`) and not where MP4's have them."""
    brands = head[8 : int.from_bytes(head[:4], "big")]
    return head[4:8] == b"ftyp" and any(brands[at : at + 4] in (b"isml", b"piff") for at in range(0, len(brands), 4))


def _refuse_to_open(*_: object) -> NoReturn:
    """Second lock on the door: a container that refers to other files or addresses gets none of them."""
    raise PermissionError("media files may not refer to other files")


def sound_tracks(container: InputContainer) -> list[AudioStream]:
    """The tracks that may be decoded, the one that a player would choose first."""
    found = list(container.streams.audio)
    if not found:
        raise InvalidMedia("file", "The file has no sound track: choose a recording or a video with sound.")
    known = [stream for stream in found if stream.codec_context is not None]
    if not known:
        raise InvalidMedia("file", "The file's sound is in a codec that is unknown here: save it as WAV, MP3 or M4A.")
    best = container.streams.best("audio")
    return sorted(known, key=lambda stream: best is not None and stream.index != best.index)


def header_fault(stream: AudioStream) -> str:
    """Why a track without any sound may have none. A header alone is no reason to refuse it."""
    context = stream.codec_context
    if context.channels < 1:
        return "The file's header announces 0 channels: it is damaged. Save the recording again."
    if context.channels > MAX_CHANNELS:
        return (
            f"The file's header announces {context.channels} channels; up to {MAX_CHANNELS} can be read. "
            "Save the recording again."
        )
    if not MIN_RATE <= context.sample_rate <= MAX_RATE:
        return (
            f"The file's header announces a sample rate of {context.sample_rate} Hz; "
            f"{MIN_RATE:,} to {MAX_RATE:,} Hz can be read. Save the recording again."
        )
    return ""


def beginning(container: InputContainer) -> float | None:
    """A player's time 0 by the timestamps: the earliest of picture and sound; None where no track tells."""
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in container.streams
        if stream.type in ("audio", "video")
        and stream.start_time is not None
        and stream.time_base is not None
        and not stream.disposition & Disposition.attached_pic
    ]
    return min(starts, default=None)


def announced(container: InputContainer, stream: AudioStream) -> float | None:
    """The container's idea of the sound's length, seconds; None when it has none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def tells_its_length(container: InputContainer, file: IO[bytes], part: Part) -> bool:
    """Whether what `announced` gives was written by who made the file, and is of the sound."""
    if container.format.name != "mp3":
        return container.format.name.split(",")[0] in CERTAIN_LENGTHS
    window = Window(file, part)
    window.seek(id3_length(window.read(10)))
    return mp3_tells_length(window.read(64))
