"""Any sound or video file to 16 kHz mono 16-bit samples, as a stream of short blocks on the file's own clock.

Decode until the end, keep the times, take a header's length for an estimate, refuse only what yields no sound, and say
what was left out. Knows nothing of recognition. The file comes from a stranger: only a named set of containers is
tried, nothing but the file itself is ever opened, and whatever is wrong with it becomes an InvalidMedia with a sentence
that a user can read.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NoReturn

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream

from engines.errors import InvalidMedia
from engines.speech import tracks
from engines.speech.clock import Clock, Fault
from engines.speech.joined import Part, Window, id3_length, mp3_tells_length, parts_of
from engines.speech.mono import SAMPLE_RATE, Mono

BLOCK_SECONDS = 0.2
"""Recognisers look for the end of an utterance once per block: longer blocks would find pauses late."""

BLOCK_BYTES = int(SAMPLE_RATE * BLOCK_SECONDS) * 2

DEFAULT_MAX_SECONDS = 4 * 3600.0

MIN_SECONDS = 0.1
"""Shorter than any word: a file that decodes to less is damaged, not quiet."""

WHOLE_SHARE = 0.9
"""Above this share of the announced length a file counts as whole: headers are rounded and encoders pad."""

CERTAIN_LENGTHS = frozenset({"mov", "flac", "aiff", "au", "caf", "w64", "wv", "ape", "tta", "tak", "dsf", "asf"})
"""ffmpeg's names of containers that store their sound's length. Of the others it is guessed from the bit rate, or it is
the longest track's."""

PROBE_OPTIONS = {"probesize": "20000000", "analyzeduration": "60000000"}
"""Bytes and microseconds that are looked at for tracks: sound may begin long after the picture."""

MAX_FAULTS = 3
"""Of a clock that is wrong all the time, so many notes are enough."""

_FAULT_NOTES = {
    Fault.BACKWARDS: "The file's clock jumps back at {at:.1f} s; the times go on from there.",
    Fault.TOO_FAR: "The file's clock jumps too far ahead at {at:.1f} s; the times go on from there.",
    Fault.SPEED: "The file's clock and its sound run at different speeds; the times are the sound's.",
}

MISSING = "Parts of the file are missing or damaged; this is the text of the rest."

MIN_RATE, MAX_RATE = 4_000, 768_000
"""Sample rates in Hz that recordings really have. A rate of 1 Hz would blow one second up to hours."""

MIN_BYTES_PER_SECOND = 250.0
"""The leanest speech codecs need about 600 bytes a second; a header that claims less is lying about its length."""

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
    """The sound of one open file. `seconds` and `notes` grow while `blocks` is read."""

    def __init__(self, file: IO[bytes], parts: list[Part], first: InputContainer) -> None:
        self._file = file
        self._parts = parts
        self._first = first
        self._size = parts[-1].end
        self._announced = _announced(first, _sound_tracks(first)[0])
        self._samples = 0
        self._header_fault = ""
        self._notes: dict[str, None] = {}

    @property
    def seconds(self) -> float:
        """The end of what was decoded so far, in seconds of the file's own clock: no header can lie about it."""
        return self._samples / SAMPLE_RATE

    @property
    def estimate(self) -> float | None:
        """The header's length in seconds, for a progress bar; None when the file is too small to hold that much."""
        if self._announced is None or self._size / self._announced < MIN_BYTES_PER_SECOND:
            return None
        first = self._parts[0]
        return self._announced * self._size / (first.end - first.start)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was left out, chosen or mended; whole after the end."""
        return tuple(self._notes)

    def blocks(self, max_seconds: float = DEFAULT_MAX_SECONDS) -> Iterator[bytes]:
        """Yield little-endian int16 samples, `BLOCK_BYTES` at a time and the rest at the end.

        Sample n is heard n / SAMPLE_RATE seconds after the file's beginning, the earliest of its picture and sound:
        pauses and a late start are silence. Raises InvalidMedia for more than `max_seconds`, and at the end for a file
        without usable sound.
        """
        pending = bytearray()
        for samples in self._all_parts(max_seconds):
            pending += samples
            if self.seconds > max_seconds:
                raise _too_long(max_seconds)
            whole = len(pending) // BLOCK_BYTES * BLOCK_BYTES
            for at in range(0, whole, BLOCK_BYTES):
                yield bytes(pending[at : at + BLOCK_BYTES])
            del pending[:whole]
        self._check_usable()
        if pending:
            yield bytes(pending)

    def _check_usable(self) -> None:
        if self._samples == 0:
            reason = self._header_fault or "The file's sound track is empty or cannot be decoded. " + NOT_MEDIA
            raise InvalidMedia("file", reason)
        if self.seconds < MIN_SECONDS:
            raise InvalidMedia(
                "file",
                f"Only {self.seconds:.2f} s of the file's sound can be decoded: send the whole recording.",
            )

    def _say(self, note: str) -> None:
        self._notes.setdefault(note)

    def _all_parts(self, max_seconds: float) -> Iterator[bytes]:
        yield from self._part(self._first, self._parts[0], max_seconds)
        for part in self._parts[1:]:
            at = self.seconds
            try:
                with _open_container(self._file, part) as container:
                    yield from self._part(container, part, max_seconds)
            except InvalidMedia:
                if self.seconds > max_seconds:
                    raise
                self._say(MISSING)
            if self.seconds > at:
                self._say(_joined_at(at))

    def _part(self, container: InputContainer, part: Part, max_seconds: float) -> Iterator[bytes]:
        """The samples of one of the files that are joined; `self._samples` counts them."""
        sound = _sound_tracks(container)
        stream = sound[0]
        if len(sound) > 1:
            stream = sound[self._voice_track(part, sound)]
            place = [track.index for track in container.streams.audio].index(stream.index)
            self._say(f"The file has {len(sound)} sound tracks: number {place + 1} was heard.")
        self._header_fault = self._header_fault or _header_fault(stream)
        announced = _announced(container, stream)
        origin, begin = _beginning(container), self.seconds
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        clock, mono = Clock(origin, begin, max_seconds), Mono()
        silence = 0.0
        for frame, following in _with_next(self._frames(container, stream)):
            lead = clock.place(frame.time, frame.samples / frame.sample_rate, self.seconds, following)
            drop = 0
            if lead > 0:
                silence += lead if self.seconds == begin else 0.0
                yield from self._counted(mono.flush())
                yield from self._counted(_silence(lead))
            elif lead < 0:
                drop = round(-lead * SAMPLE_RATE) * 2
            yield from self._counted(_without(mono.convert(frame), drop))
        yield from self._counted(mono.flush())
        self._report(clock, mono)
        heard = self.seconds - begin - silence
        certain = self._length_is_certain(container, part)
        if part.cut or (certain and announced and heard < announced * WHOLE_SHARE and announced - heard > 0.5):
            self._say(MISSING)

    def _length_is_certain(self, container: InputContainer, part: Part) -> bool:
        if container.format.name != "mp3":
            return container.format.name.split(",")[0] in CERTAIN_LENGTHS
        window = Window(self._file, part)
        window.seek(id3_length(window.read(10)))
        return mp3_tells_length(window.read(64))

    def _report(self, clock: Clock, mono: Mono) -> None:
        for fault, at in clock.faults[:MAX_FAULTS]:
            self._say(_joined_at(at) if fault is Fault.RESTARTED else _FAULT_NOTES[fault].format(at=at))
        if mono.cancelled:
            self._say("Channels of the recording cancel each other: where they do, one was heard alone.")

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._samples += len(piece) // 2
            yield piece

    def _voice_track(self, part: Part, sound: list[AudioStream]) -> int:
        """The index of the track to hear, after listening into all of them."""
        places = {stream.index: place for place, stream in enumerate(sound)}
        found = [tracks.Syllables() for _ in sound]
        monos = [Mono() for _ in sound]
        with _open_container(self._file, part) as container:
            streams = [container.streams[index] for index in places]
            for other in container.streams:
                if other.index not in places:
                    other.discard = Discard.all
            for frame, index in _decoded(container, streams, lambda: None):
                place = places[index]
                for samples in monos[place].convert(frame):
                    found[place].add(samples)
                if tracks.decided([each.count for each in found]):
                    break
        return tracks.chosen([each.count for each in found])

    def _frames(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        for frame, _ in _decoded(container, [stream], lambda: self._say(MISSING)):
            yield frame


def _decoded(
    container: InputContainer, streams: list[Stream], on_damage: Callable[[], None]
) -> Iterator[tuple[AudioFrame, int]]:
    """Frames and the index of their track, until the end whatever is wrong in between."""
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, EOFError, OSError, ValueError):
            # The container ends in the middle of something: what came before still counts.
            on_damage()
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except (av.FFmpegError, EOFError, OSError, ValueError):
            # A damaged packet costs its own few milliseconds, as in any player.
            on_damage()
            continue
        for frame in frames:
            if isinstance(frame, AudioFrame) and MIN_RATE <= frame.sample_rate <= MAX_RATE and frame.samples:
                yield frame, packet.stream_index


def _with_next(frames: Iterator[AudioFrame]) -> Iterator[tuple[AudioFrame, float | None]]:
    """Each frame with the timestamp of the one after it."""
    ended: list[AudioFrame | None] = [None]
    for frame, after in itertools.pairwise(itertools.chain[AudioFrame | None](frames, ended)):
        if frame is not None:
            yield frame, None if after is None else after.time


def _silence(seconds: float) -> Iterator[bytes]:
    left = round(seconds * SAMPLE_RATE) * 2
    while left > 0:
        yield bytes(min(left, BLOCK_BYTES))
        left -= BLOCK_BYTES


def _without(pieces: Iterator[bytes], drop: int) -> Iterator[bytes]:
    """The pieces less their first `drop` bytes."""
    for piece in pieces:
        yield piece[drop:]
        drop = max(drop - len(piece), 0)


@contextlib.contextmanager
def open_audio(path: Path) -> Iterator[AudioReader]:
    """Open the file at `path`. Raises InvalidMedia."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidMedia("file", "The file could not be opened on this machine: send it again.") from error
    with file:
        size = path.stat().st_size
        if size == 0:
            raise InvalidMedia("file", "The file is empty (0 bytes): choose another one, or save the recording first.")
        parts = parts_of(file, size)
        with _open_container(file, parts[0]) as container:
            yield AudioReader(file, parts, container)


def _open_container(file: IO[bytes], part: Part) -> InputContainer:
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "pipe", **PROBE_OPTIONS}
    if part.open_ended:
        options["ignore_length"] = "1"
    try:
        return av.open(
            Window(file, part),
            mode="r",
            options=options,
            metadata_errors="ignore",
            io_open=_refuse_to_open,
        )
    except (av.FFmpegError, EOFError, OSError, ValueError) as error:
        raise InvalidMedia("file", NOT_MEDIA) from error


def _refuse_to_open(*_: object) -> NoReturn:
    """Second lock on the door: a container that refers to other files or addresses gets none of them."""
    raise PermissionError("media files may not refer to other files")


def _sound_tracks(container: InputContainer) -> list[AudioStream]:
    """The tracks that may be decoded, the one that a player would choose first."""
    found = list(container.streams.audio)
    if not found:
        raise InvalidMedia("file", "The file has no sound track: choose a recording or a video with sound.")
    known = [stream for stream in found if stream.codec_context is not None]
    if not known:
        raise InvalidMedia("file", "The file's sound is in a codec that is unknown here: save it as WAV, MP3 or M4A.")
    best = container.streams.best("audio")
    return sorted(known, key=lambda stream: best is not None and stream.index != best.index)


def _header_fault(stream: AudioStream) -> str:
    """Why a track without any sound may have none. A header alone is no reason to refuse it."""
    context = stream.codec_context
    if context.channels < 1:
        return "The file's header announces 0 channels: it is damaged. Save the recording again."
    if not MIN_RATE <= context.sample_rate <= MAX_RATE:
        return (
            f"The file's header announces a sample rate of {context.sample_rate} Hz; "
            f"{MIN_RATE:,} to {MAX_RATE:,} Hz can be read. Save the recording again."
        )
    return ""


def _beginning(container: InputContainer) -> float | None:
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


def _announced(container: InputContainer, stream: AudioStream) -> float | None:
    """The container's idea of the sound's length, seconds; None when it has none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _joined_at(seconds: float) -> str:
    return f"A further recording is joined on at {seconds:.1f} s; the times go on from there."


def _too_long(max_seconds: float) -> InvalidMedia:
    return InvalidMedia(
        "file", f"The recording is longer than {max_seconds / 60:g} minutes: cut it into shorter files."
    )
