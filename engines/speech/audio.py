"""Any sound or video file to 16 kHz mono 16-bit samples, as a stream of short blocks.

Knows nothing of recognition. The file comes from a stranger: only a named set of containers is tried, nothing but the
file itself is ever opened, and whatever is wrong with it becomes an InvalidMedia with a sentence that a user can read.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard

from engines.errors import InvalidMedia

SAMPLE_RATE = 16_000
"""What speech models are trained on. Feeding another rate would scale the times."""

BLOCK_SECONDS = 0.2
"""Recognisers look for the end of an utterance once per block: longer blocks would find pauses late."""

BLOCK_BYTES = int(SAMPLE_RATE * BLOCK_SECONDS) * 2

DEFAULT_MAX_SECONDS = 4 * 3600.0

MIN_SECONDS = 0.1
"""Shorter than any word: a file that decodes to less is damaged, not quiet."""

MIN_SHARE = 0.1
"""A file with less than this share of the sound that its header announces is refused rather than half transcribed."""

WHOLE_SHARE = 0.9
"""Above this share of the announced length a file counts as whole: headers are rounded and encoders pad."""

MIN_RATE, MAX_RATE = 4_000, 768_000
"""Sample rates in Hz that recordings really have. A rate of 1 Hz would blow one second up to hours."""

MIN_BYTES_PER_SECOND = 250.0
"""The leanest speech codecs need about 600 bytes a second; a header that claims less is lying about its length."""

UNKNOWN_RIFF_SIZES = (range(0x7FFF0000, 0x80000001), range(0xFFFFF000, 0x100000000))
"""Sizes that recorders write into a WAV header when they do not know the length yet, and never correct in a pipe."""

# The containers that people have. Playlists (hls, dash, concat) are left out because they make ffmpeg open other
# addresses, pictures and subtitles because they hold no sound.
CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,asf_o,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,"
    "loas,matroska,mov,mp3,mpeg,mpegts,mpc,mpc8,mxf,nut,ogg,rm,sox,tak,truehd,tta,voc,"
    "w64,wav,wv"
)
"""ffmpeg's names, as its option takes them."""

NOT_MEDIA = (
    "This file cannot be read as sound or video: it is damaged, incomplete or of another kind than its name says. "
    "Send for example WAV, MP3, M4A, Ogg, WebM or MP4."
)


class AudioReader:
    """The sound track of one open file. `seconds` and `damaged` grow while `blocks` is read."""

    def __init__(self, container: InputContainer, stream: AudioStream, announced: float | None, size: int) -> None:
        self._container = container
        self._stream = stream
        self._announced = announced
        self._size = size
        self._samples = 0
        self._errors = 0

    @property
    def seconds(self) -> float:
        """Sound decoded so far, seconds: counted in samples, so a header cannot lie about it."""
        return self._samples / SAMPLE_RATE

    @property
    def estimate(self) -> float | None:
        """The header's length in seconds, or None when the file is too small to hold that much."""
        if self._announced is None or self._size / self._announced < MIN_BYTES_PER_SECOND:
            return None
        return self._announced

    @property
    def damaged(self) -> bool:
        """True after the end when parts were missing or could not be decoded."""
        return self._errors > 0 or self.seconds < (self._announced or 0) * WHOLE_SHARE

    def blocks(self, max_seconds: float = DEFAULT_MAX_SECONDS) -> Iterator[bytes]:
        """Yield little-endian int16 samples, `BLOCK_BYTES` at a time and the rest at the end.

        Raises InvalidMedia for a file of more than `max_seconds`, and at the end for one without usable sound.
        """
        if (self.estimate or 0) > max_seconds:
            raise _too_long(max_seconds)
        pending = bytearray()
        for samples in self._samples_of_frames():
            pending += samples
            self._samples += len(samples) // 2
            if self.seconds > max_seconds:
                raise _too_long(max_seconds)
            while len(pending) >= BLOCK_BYTES:
                yield bytes(pending[:BLOCK_BYTES])
                del pending[:BLOCK_BYTES]
        self._check_usable()
        if pending:
            yield bytes(pending)

    def _check_usable(self) -> None:
        if self._samples == 0:
            raise InvalidMedia("file", "The file's sound track is empty or cannot be decoded. " + NOT_MEDIA)
        if self.seconds < MIN_SECONDS:
            raise InvalidMedia(
                "file",
                f"Only {self.seconds:.2f} s of the file's sound can be decoded: send the whole recording.",
            )
        if self.seconds < (self._announced or 0) * MIN_SHARE:
            raise InvalidMedia(
                "file",
                f"The file's header announces {self._announced:,.0f} s of sound, but it holds {self.seconds:.1f} s: "
                "it is incomplete or damaged. Send the whole recording.",
            )

    def _samples_of_frames(self) -> Iterator[bytes]:
        resampler: AudioResampler | None = None
        setup: tuple[str, str, int] | None = None
        for frame in self._frames():
            current = (frame.format.name, frame.layout.name, frame.sample_rate)
            # A chained or broken stream may change its format half way, and a resampler is made for one.
            if current != setup:
                yield from _resampled(resampler, None)
                resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
                setup = current
            # Broken timestamps would make the filter invent or drop samples.
            frame.pts = None
            yield from _resampled(resampler, frame)
        yield from _resampled(resampler, None)

    def _frames(self) -> Iterator[AudioFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
            except av.FFmpegError:
                # The container ends in the middle of something: what came before still counts.
                self._errors += 1
                return
            try:
                frames = packet.decode()
            except av.FFmpegError:
                # A damaged packet costs its own few milliseconds, as in any player.
                self._errors += 1
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame) and MIN_RATE <= frame.sample_rate <= MAX_RATE:
                    yield frame


@contextlib.contextmanager
def open_audio(path: Path) -> Iterator[AudioReader]:
    """Open the best sound track of the file at `path`. Raises InvalidMedia."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidMedia("file", "The file could not be opened on this machine: send it again.") from error
    with file:
        size = path.stat().st_size
        if size == 0:
            raise InvalidMedia("file", "The file is empty (0 bytes): choose another one, or save the recording first.")
        with _open_container(file) as container:
            stream = _sound_track(container)
            announced = max(_riff_seconds(path) or 0.0, _header_seconds(container, stream) or 0.0)
            yield AudioReader(container, stream, announced or None, size)


def _open_container(file: IO[bytes]) -> InputContainer:
    try:
        return av.open(
            file,
            mode="r",
            options={"format_whitelist": CONTAINERS, "protocol_whitelist": "pipe"},
            metadata_errors="ignore",
            io_open=_refuse_to_open,
        )
    except (av.FFmpegError, EOFError) as error:
        raise InvalidMedia("file", NOT_MEDIA) from error


def _refuse_to_open(*_: object) -> NoReturn:
    """Second lock on the door: a container that refers to other files or addresses gets none of them."""
    raise PermissionError("media files may not refer to other files")


def _sound_track(container: InputContainer) -> AudioStream:
    # The best one by ffmpeg's rules; those pass over a track with a broken header, which deserves its own message.
    stream = container.streams.best("audio") or next(iter(container.streams.audio), None)
    if not isinstance(stream, AudioStream):
        raise InvalidMedia("file", "The file has no sound track: choose a recording or a video with sound.")
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    context = stream.codec_context
    if context is None:
        raise InvalidMedia("file", "The file's sound is in a codec that is unknown here: save it as WAV, MP3 or M4A.")
    if context.channels < 1:
        raise InvalidMedia("file", "The file's header announces 0 channels: it is damaged. Save the recording again.")
    if not MIN_RATE <= context.sample_rate <= MAX_RATE:
        raise InvalidMedia(
            "file",
            f"The file's header announces a sample rate of {context.sample_rate} Hz; "
            f"{MIN_RATE:,} to {MAX_RATE:,} Hz can be read. Save the recording again.",
        )
    return stream


def _header_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """The container's idea of the length, seconds; None when it has none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _riff_seconds(path: Path) -> float | None:
    """What a WAV header announces, seconds; the demuxer silently corrects it to the file's size."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    fmt, data = head.find(b"fmt "), head.find(b"data")
    if fmt < 0 or data < 0 or len(head) < max(fmt + 20, data + 8):
        return None
    (bytes_per_second,) = struct.unpack_from("<I", head, fmt + 16)
    (size,) = struct.unpack_from("<I", head, data + 4)
    if not bytes_per_second or any(size in unknown for unknown in UNKNOWN_RIFF_SIZES):
        return None
    return float(size / bytes_per_second)


def _resampled(resampler: AudioResampler | None, frame: AudioFrame | None) -> Iterator[bytes]:
    """Convert one frame, or flush what the resampler holds back with None."""
    if resampler is None:
        return
    for converted in resampler.resample(frame):
        # A plane is padded to its alignment: only the first samples are sound.
        yield bytes(converted.planes[0])[: converted.samples * 2]


def _too_long(max_seconds: float) -> InvalidMedia:
    return InvalidMedia(
        "file", f"The recording is longer than {max_seconds / 60:g} minutes: cut it into shorter files."
    )
