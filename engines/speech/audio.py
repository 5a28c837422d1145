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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from engines.errors import InvalidMedia
from engines.speech import tracks
from engines.speech.avi import AviTimes, Stamp
from engines.speech.clock import Clock, Fault
from engines.speech.container import (
    MAX_CHANNELS,
    MAX_RATE,
    MIN_RATE,
    NOT_MEDIA,
    announced,
    beginning,
    header_fault,
    open_container,
    sound_tracks,
    tells_its_length,
)
from engines.speech.joined import Part, Window, parts_of
from engines.speech.length import seconds_of
from engines.speech.mono import SAMPLE_RATE, Mono
from engines.speech.pieces import FRAME

BLOCK_BYTES = 6 * FRAME * 2
"""0.18 s. Recognisers look for the end of an utterance once per block: longer blocks would find pauses late. Each ten
minutes Vosk counts frames anew, from a block's beginning on: blocks are of whole ones, so that times stay on their
grid."""

DEFAULT_MAX_SECONDS = 4 * 3600.0

MIN_SECONDS = 0.1
"""Shorter than any word: a file that decodes to less is damaged, not quiet."""

WHOLE_SHARE = 0.9
"""Above this share of the announced length a file counts as whole: headers are rounded and encoders pad."""

MAX_FAULTS = 3
"""Of a clock that is wrong all the time, so many notes are enough."""

_FAULT_NOTES = {
    Fault.BACKWARDS: "The file's clock jumps back at {at:.1f} s; the times go on from there.",
    Fault.TOO_FAR: "The file's clock jumps too far ahead at {at:.1f} s; the times go on from there.",
    Fault.SPEED: "The file's clock and its sound run at different speeds; the times are the sound's.",
}

MISSING = "Parts of the file are missing or damaged; this is the text of the rest."

MIN_BYTES_PER_SECOND = 250.0
"""The leanest speech codecs need about 600 bytes a second; a header that claims less is lying about its length."""

MAX_FAILURES = 2_000
"""Packets in a row that cannot be decoded, about 40 seconds: nothing will come of the rest."""

LIMIT_SLACK = 1.0
"""Seconds by which packets may add up to more than they decode to: encoders pad at both ends."""

COUNTED = frozenset({"aac", "loas", "mp3", "ac3", "eac3", "dts", "truehd"})
"""Streams of frames without times. ffmpeg counts them by the first one's rate, which is wrong once the rate changes."""


@dataclass(frozen=True)
class _Choice:
    """The track that is heard, by its index, and what corrects the times of its packets."""

    index: int
    stamp: Stamp


class AudioReader:
    """The sound of one open file. `seconds` and `notes` grow while `blocks` is read."""

    def __init__(self, file: IO[bytes], parts: list[Part], first: InputContainer) -> None:
        self._file = file
        self._parts = parts
        self._first = first
        self._samples = 0
        self._header_fault = ""
        self._notes: dict[str, None] = {}
        self._choices: dict[int, _Choice] = {}
        self._estimate = self._headers_word()

    @property
    def seconds(self) -> float:
        """The end of what was decoded so far, in seconds of the file's own clock: no header can lie about it."""
        return self._samples / SAMPLE_RATE

    @property
    def estimate(self) -> float | None:
        """About how many seconds there are, for a progress bar: the header's word where it may be true, and from the
        first block on, the length of the packets where it may not. None when nothing tells."""
        return self._estimate

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was left out, chosen or mended; whole after the end."""
        return tuple(self._notes)

    def blocks(self, max_seconds: float = DEFAULT_MAX_SECONDS) -> Iterator[bytes]:
        """Yield little-endian int16 samples, `BLOCK_BYTES` at a time and the rest at the end.

        Sample n is heard n / SAMPLE_RATE seconds after the file's beginning, the earliest of its picture and sound:
        pauses and a late start are silence. Raises InvalidMedia for more than `max_seconds`, before the first block
        unless a header tells less than there is, and at the end for a file without usable sound.
        """
        self._measure(max_seconds)
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

    def _headers_word(self) -> float | None:
        first, size = self._parts[0], self._parts[-1].end
        told = announced(self._first, sound_tracks(self._first)[0])
        # A header that has so little room behind it is lying.
        if not told or size / told < MIN_BYTES_PER_SECOND:
            return None
        return told * size / (first.end - first.start)

    def _measure(self, max_seconds: float) -> None:
        """Refuse what is too long before hours of it are recognised. Packets are counted where the header may be wrong:
        to count them always would keep the first words of a long file waiting."""
        certain = tells_its_length(self._first, self._file, self._parts[0])
        may_be_too_long = self._parts[-1].end / MIN_BYTES_PER_SECOND > max_seconds
        if self._estimate and self._estimate <= max_seconds and (certain or not may_be_too_long):
            return
        counted = 0.0
        for part in self._parts:
            # A part that cannot be read is reported where it is decoded.
            with contextlib.suppress(InvalidMedia), open_container(self._file, part) as container:
                stream, choice = self._chosen(container, part)
                if header_fault(stream):
                    return
                counted += seconds_of(container, stream, choice.stamp, max_seconds + LIMIT_SLACK - counted)
            if counted > max_seconds + LIMIT_SLACK:
                raise _too_long(max_seconds)
        self._estimate = counted or None

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
                with open_container(self._file, part) as container:
                    yield from self._part(container, part, max_seconds)
            except InvalidMedia:
                if self.seconds > max_seconds:
                    raise
                self._say(MISSING)
            if self.seconds > at:
                self._say(_joined_at(at))

    def _part(self, container: InputContainer, part: Part, max_seconds: float) -> Iterator[bytes]:
        """The samples of one of the files that are joined; `self._samples` counts them."""
        stream, choice = self._chosen(container, part)
        self._header_fault = self._header_fault or header_fault(stream)
        told = announced(container, stream)
        begin = self.seconds
        clock, mono = Clock(beginning(container), begin, max_seconds), Mono()
        silence = 0.0
        for frame, following in _with_next(self._frames(container, stream, choice.stamp)):
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
        if self.seconds - begin < MIN_SECONDS and part.edited and container.format.name.startswith("mov"):
            self._say("The file's list of edits leaves nothing of its sound: it was not followed.")
            part = replace(part, edited=False)
            with open_container(self._file, part) as whole:
                yield from self._part(whole, part, max_seconds)
            return
        self._report(clock, mono)
        heard = self.seconds - begin - silence
        short = told is not None and heard < told * WHOLE_SHARE and told - heard > 0.5
        if part.cut or (short and tells_its_length(container, self._file, part)):
            self._say(MISSING)

    def _report(self, clock: Clock, mono: Mono) -> None:
        for fault, at in clock.faults[:MAX_FAULTS]:
            self._say(_joined_at(at) if fault is Fault.RESTARTED else _FAULT_NOTES[fault].format(at=at))
        if mono.cancelled:
            self._say("Channels of the recording cancel each other: where they do, one was heard alone.")

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._samples += len(piece) // 2
            yield piece

    def _chosen(self, container: InputContainer, part: Part) -> tuple[AudioStream, _Choice]:
        """The track that is heard of an open part; the others are passed over."""
        sound = sound_tracks(container)
        choice = self._choices.get(part.start)
        if choice is None:
            stream = sound[0]
            if len(sound) > 1:
                stream = sound[self._voice_track(part, sound)]
                place = [track.index for track in container.streams.audio].index(stream.index)
                self._say(f"The file has {len(sound)} sound tracks: number {place + 1} was heard.")
            avi = container.format.name == "avi"
            stamp = AviTimes(Window(self._file, part), stream.index).stamp if avi else _as_they_are
            choice = self._choices[part.start] = _Choice(stream.index, stamp)
        for other in container.streams:
            if other.index != choice.index:
                other.discard = Discard.all
        return next(stream for stream in sound if stream.index == choice.index), choice

    def _voice_track(self, part: Part, sound: list[AudioStream]) -> int:
        """The index of the track to hear, after listening into all of them."""
        places = {stream.index: place for place, stream in enumerate(sound)}
        found = [tracks.Syllables() for _ in sound]
        monos = [Mono() for _ in sound]
        with open_container(self._file, part) as container:
            streams = [container.streams[index] for index in places]
            for other in container.streams:
                if other.index not in places:
                    other.discard = Discard.all
            for frame, index in _decoded(container, streams, _as_they_are, lambda: None):
                place = places[index]
                for samples in monos[place].convert(frame):
                    found[place].add(samples)
                if tracks.decided([each.count for each in found]):
                    break
        return tracks.chosen([each.count for each in found])

    def _frames(self, container: InputContainer, stream: AudioStream, stamp: Stamp) -> Iterator[AudioFrame]:
        first, changed = 0, False
        for frame, _ in _decoded(container, [stream], stamp, lambda: self._say(MISSING)):
            first = first or frame.sample_rate
            changed = changed or (frame.sample_rate != first and container.format.name in COUNTED)
            if changed:
                frame.pts = None
            yield frame


def _as_they_are(_: Packet[Any]) -> None:
    """Most packets' times need no correction."""


def _decoded(
    container: InputContainer,
    streams: list[Stream],
    stamp: Stamp,
    on_damage: Callable[[], None],
) -> Iterator[tuple[AudioFrame, int]]:
    """Frames and the index of their track, until the end whatever is wrong in between."""
    packets, failures = container.demux(streams), 0
    while failures < MAX_FAILURES:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            # The container ends in the middle of something: what came before still counts.
            on_damage()
            return
        if packet is None:
            return
        stamp(packet)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            # A damaged packet costs its own few milliseconds, as in any player.
            on_damage()
            failures += 1
            continue
        for frame in frames:
            if isinstance(frame, AudioFrame) and _is_usable(frame):
                failures = 0
                yield frame, packet.stream_index


def _is_usable(frame: AudioFrame) -> bool:
    rate, channels = frame.sample_rate, frame.layout.nb_channels
    return MIN_RATE <= rate <= MAX_RATE and 1 <= channels <= MAX_CHANNELS and frame.samples > 0


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
        with open_container(file, parts[0]) as container:
            yield AudioReader(file, parts, container)


def _joined_at(seconds: float) -> str:
    return f"A further recording is joined on at {seconds:.1f} s; the times go on from there."


def _too_long(max_seconds: float) -> InvalidMedia:
    return InvalidMedia(
        "file", f"The recording is longer than {max_seconds / 60:g} minutes: cut it into shorter files."
    )
