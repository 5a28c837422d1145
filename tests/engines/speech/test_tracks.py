"""Which of several tracks is heard, and what stands beside the sound without being any."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from engines.speech.audio import open_audio
from tests.engines.speech.media import DATA, wav_bytes
from tests.engines.speech.test_audio import decode, level
from tests.engines.speech.tones import TIGHT, Picture, Track, expected, hear, worst, write, written

RATE = 16_000


def voice(**more: object) -> Track:
    sound = decode(DATA / "sentence.wav") / 32_768
    return Track(sound=sound, codec="aac", rate=RATE, **more)  # type: ignore[arg-type]


def other(kind: str, seconds: float, **more: object) -> Track:
    """What stands beside a voice: nothing, a hum, or noise."""
    clock = np.arange(round(seconds * RATE)) / RATE
    sound = {
        "silence": 0 * clock,
        "hum": 0.3 * np.sin(2 * np.pi * 100 * clock),
        "noise": np.random.default_rng(1).normal(0, 0.05, len(clock)),
    }[kind]
    return Track(sound=sound, codec="aac", rate=RATE, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("container", "beside"), [("mp4", "silence"), ("matroska", "hum"), ("mpegts", "noise"), ("mp4", "noise")]
)
def test_the_track_with_the_voice_is_heard_wherever_it_is(tmp_path: Path, container: str, beside: str) -> None:
    path = tmp_path / "recording"
    quiet = other(beside, 3.3, default=True, language="eng")
    write(path, container, quiet, voice(default=False, language="deu"))
    assert level(decode(path)) == pytest.approx(level(decode(DATA / "sentence.wav")), rel=0.2)
    assert "The file has 2 sound tracks: number 2 was heard." in hear(path).notes
    write(path, container, voice(default=True), quiet)
    assert "The file has 2 sound tracks: number 1 was heard." in hear(path).notes


@pytest.mark.parametrize("default", [0, 1])
def test_of_two_voices_the_one_is_heard_that_a_player_chooses(tmp_path: Path, default: int) -> None:
    path = tmp_path / "recording.mkv"
    two = [voice(default=number == default, language=language) for number, language in enumerate(("eng", "fra"))]
    write(path, "matroska", *two)
    assert hear(path).notes == (f"The file has 2 sound tracks: number {default + 1} was heard.",)


def test_a_track_that_begins_late_is_found_and_in_time(tmp_path: Path) -> None:
    path = tmp_path / "recording.mp4"
    write(path, "mp4", other("silence", 6.0), voice(delay=2.0), picture=Picture(seconds=6.0))
    sound = decode(path)
    plain = decode(DATA / "sentence.wav")
    begin = [int(np.argmax(np.abs(each.astype(int)) > 1000)) / RATE for each in (sound, plain)]
    assert begin[0] - begin[1] == pytest.approx(2.0, abs=TIGHT)


# Pictures that are no film -----------------------------------------------------------------------------------------


def cover(kind: str) -> bytes:
    """A recording with a picture of its album, as a track of one frame."""
    file = BytesIO()
    with av.open(file, "w", format=kind) as container:
        sound = container.add_stream({"mp3": "libmp3lame", "flac": "flac"}[kind], rate=48_000)
        assert isinstance(sound, AudioStream)
        image = container.add_stream("mjpeg", rate=1)
        assert isinstance(image, VideoStream)
        image.width, image.height, image.pix_fmt = 64, 64, "yuvj420p"
        image.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuvj420p")
        container.start_encoding()
        container.mux(image.encode(frame))
        container.mux(image.encode(None))
        with av.open(BytesIO(written("wav", Track(codec="pcm_s16le"))), "r") as source:
            for block in source.decode(audio=0):
                block.pts = None
                container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["mp3", "flac"])
def test_the_picture_of_an_album_moves_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "recording"
    path.write_bytes(cover(kind))
    found = hear(path)
    assert worst(found, expected(Track())) < TIGHT
    assert found.notes == ()


@pytest.mark.parametrize("kind", ["mp3", "flac", "mp4", "matroska", "ogg", "wav", "aiff"])
def test_metadata_of_any_length_is_no_sound(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "recording"
    codec = {"mp3": "libmp3lame", "flac": "flac", "wav": "pcm_s16le", "aiff": "pcm_s16be"}
    one = Track(codec=codec.get(kind, "libopus" if kind in ("matroska", "ogg") else "aac"), rate=48_000)
    for comment in ("", "RIFF....WAVEfmt OggS fLaC ID3 TAG moov data" * 50):
        path.write_bytes(written(kind, one, metadata={"title": comment, "comment": comment, "artist": "ü" * 10}))
        found = hear(path)
        assert worst(found, expected(Track())) < TIGHT
        assert found.notes == ()


# Nothing to hear ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wav", "ogg"])
def test_a_quarter_of_an_hour_of_silence_is_read_to_its_end(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "recording"
    if kind == "wav":
        path.write_bytes(wav_bytes(rate=8_000, data=bytes(2 * 8_000 * 900)))
    else:
        # Without packets: what recorders that leave silence out write.
        write(path, kind, Track(codec="libopus", seconds=900.0, starts=(), gaps=((1.0, 899.0),)))
    with open_audio(path) as audio:
        loudest = max(max(np.abs(np.frombuffer(block, "<i2"))) for block in audio.blocks())
        assert audio.seconds == pytest.approx(900, abs=0.1)
        assert audio.notes == ()
    assert loudest < 50
