"""Decoding: same length from every container, and a sentence for whatever cannot be decoded."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from engines.errors import InvalidMedia
from engines.speech.audio import BLOCK_BYTES, MISSING, open_audio
from engines.speech.mono import SAMPLE_RATE
from tests.engines.speech.media import DATA, MALFORMED, SENTENCES, live_webm, silent_video, timed_file, wav_bytes


def decode(path: Path, max_seconds: float = 100.0) -> np.ndarray:
    with open_audio(path) as audio:
        return np.frombuffer(b"".join(audio.blocks(max_seconds)), "<i2")


@pytest.mark.parametrize("name", SENTENCES)
def test_every_container_gives_the_same_sound(name: str) -> None:
    reference, sound = decode(DATA / "sentence.wav"), decode(DATA / name)
    # Codecs add a few milliseconds at both ends.
    assert abs(len(sound) - len(reference)) < 0.1 * SAMPLE_RATE
    assert 0.5 < np.abs(sound.astype(float)).mean() / np.abs(reference.astype(float)).mean() < 2


def test_blocks_are_a_fifth_of_a_second_and_the_rest() -> None:
    with open_audio(DATA / "sentence.mp3") as audio:
        sizes = [len(block) for block in audio.blocks()]
        assert set(sizes[:-1]) == {BLOCK_BYTES}
        assert 0 < sizes[-1] <= BLOCK_BYTES
        assert audio.seconds == sum(sizes) / 2 / SAMPLE_RATE
        assert audio.estimate == pytest.approx(audio.seconds, abs=0.1)
        assert audio.notes == ()


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_keeps_pitch_and_length(tmp_path: Path, rate: int) -> None:
    tone = (np.sin(np.arange(2 * rate) * 2 * np.pi * 440 / rate) * 20_000).astype("<i2")
    path = tmp_path / "tone.wav"
    path.write_bytes(wav_bytes(rate=rate, data=tone.tobytes()))
    sound = decode(path)
    # The last milliseconds come out only when the resampler is flushed.
    assert len(sound) == pytest.approx(2 * SAMPLE_RATE, abs=2)
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(sound) == pytest.approx(440, abs=1)


def test_stereo_is_mixed(tmp_path: Path) -> None:
    left = np.zeros(SAMPLE_RATE, "<i2")
    stereo = np.stack([left, left + 10_000], axis=1)
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav_bytes(channels=2, data=stereo.tobytes()))
    assert np.median(decode(path)) == pytest.approx(5_000, abs=5)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_in_plain_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(MALFORMED[name]())
    with pytest.raises(InvalidMedia) as caught:
        decode(path)
    message = str(caught.value)
    assert caught.value.field == "file"
    assert len(message) > 40
    assert message.endswith(".")
    for leak in (str(tmp_path), "Errno", "av.", "avcodec", "<none>", "Traceback"):
        assert leak not in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zero-bytes.wav", "empty (0 bytes)"),
        ("no-channels.wav", "0 channels"),
        ("rate-1.wav", "1 Hz"),
    ],
)
def test_the_message_names_what_is_wrong(tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(MALFORMED[name]())
    with pytest.raises(InvalidMedia, match=re.escape(words)):
        decode(path)


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidMedia, match="no sound track"):
        decode(silent_video(tmp_path / "silent.mp4"))


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.wav"):
        with pytest.raises(InvalidMedia):
            decode(path)


def test_a_cut_recording_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    whole = (DATA / "sentence.mp3").read_bytes()
    path = tmp_path / "half.mp3"
    path.write_bytes(whole[: len(whole) // 2])
    with open_audio(path) as audio:
        samples = sum(map(len, audio.blocks())) // 2
        assert audio.notes == (MISSING,)
    assert samples == pytest.approx(len(decode(DATA / "sentence.mp3")) / 2, rel=0.1)


@pytest.mark.parametrize("announced", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_header_of_unknown_length_is_no_damage(tmp_path: Path, announced: int) -> None:
    path = tmp_path / "piped.wav"
    path.write_bytes(wav_bytes(seconds=2, announced=announced))
    with open_audio(path) as audio:
        assert sum(map(len, audio.blocks())) == 2 * SAMPLE_RATE * 2
        assert audio.notes == ()


def test_the_limit_counts_samples_and_not_the_header(tmp_path: Path) -> None:
    path = tmp_path / "five.webm"
    path.write_bytes(live_webm(5))
    with open_audio(path) as audio:
        assert audio.estimate is None
        next(audio.blocks())
        assert audio.estimate == pytest.approx(5, abs=0.1)
    assert len(decode(path, max_seconds=5.1)) == pytest.approx(5 * SAMPLE_RATE, rel=0.01)
    with pytest.raises(InvalidMedia, match=r"longer than 0\.05 minutes"):
        decode(path, max_seconds=3.0)


def test_a_playlist_reaches_neither_files_nor_the_network(tmp_path: Path) -> None:
    called = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1.0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"

        def listen() -> None:
            try:
                connection, _ = server.accept()
            except TimeoutError:
                return
            called.set()
            connection.close()

        listener = threading.Thread(target=listen)
        listener.start()
        inner = (DATA / "sentence.wav").resolve()
        for name, text in (
            ("net.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n"),
            ("net.ffconcat", f"ffconcat version 1.0\nfile '{url}'\n"),
            ("local.ffconcat", f"ffconcat version 1.0\nfile '{inner}'\n"),
            ("relative.ffconcat", "ffconcat version 1.0\nfile sound.wav\n"),
            ("local.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{inner}\n#EXT-X-ENDLIST\n"),
            ("local.sdp", f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 4 RTP/AVP 0\n{url}\n"),
        ):
            (tmp_path / "sound.wav").write_bytes((DATA / "sentence.wav").read_bytes())
            path = tmp_path / name
            path.write_text(text)
            with pytest.raises(InvalidMedia):
                decode(path)
        listener.join()
    assert not called.is_set()


def notes_and_sound(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    with open_audio(path) as audio:
        sound = np.frombuffer(b"".join(audio.blocks()), "<i2")
        assert audio.seconds == len(sound) / SAMPLE_RATE
        return audio.notes, sound


def level(sound: np.ndarray) -> float:
    return float(np.sqrt((sound.astype(float) ** 2).mean()))


def first_sound(sound: np.ndarray, begin: int = 0) -> float:
    """Seconds until something is heard, from sample `begin` on."""
    return (begin + int(np.argmax(np.abs(sound[begin:].astype(int)) > 500))) / SAMPLE_RATE


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.mov"])
@pytest.mark.parametrize("picture", [False, True])
def test_a_pause_and_a_late_start_keep_their_length(tmp_path: Path, name: str, picture: bool) -> None:
    path = timed_file(tmp_path / name, [3.0, 9.0], picture=picture)
    notes, sound = notes_and_sound(path)
    assert notes == ()
    begin = 3.0 if picture else 0.0  # time 0 is the earliest of picture and sound
    assert first_sound(sound) == pytest.approx(begin, abs=0.1)
    assert first_sound(sound, int((begin + 3) * SAMPLE_RATE)) == pytest.approx(begin + 6, abs=0.1)


def test_a_clock_that_jumps_by_hours_is_passed_over_and_said(tmp_path: Path) -> None:
    notes, sound = notes_and_sound(timed_file(tmp_path / "a.mkv", [0.0, 30_000.0], picture=False))
    assert len(sound) == pytest.approx(2 * SAMPLE_RATE, rel=0.1)
    assert "jumps too far ahead" in notes[0]


@pytest.mark.parametrize("name", SENTENCES)
def test_joined_files_are_heard_whole(tmp_path: Path, name: str) -> None:
    once = decode(DATA / name)
    path = tmp_path / name
    path.write_bytes((DATA / name).read_bytes() * 2)
    notes, sound = notes_and_sound(path)
    assert len(sound) == pytest.approx(2 * len(once), rel=0.03)
    assert level(sound[len(once) :]) == pytest.approx(level(once), rel=0.1)
    if name != "sentence.mp3":  # an MP3 is frames one after another: no join is seen
        assert notes[0].startswith("A further recording is joined on at 3.")


def test_letters_in_a_comment_are_no_structure(tmp_path: Path) -> None:
    plain = wav_bytes(data=b"\x00\x10" * 16_000)
    letters = b"data" + b"\xf0" * 4 + b"RIFF1234WAVEfmt "
    comment = b"LIST" + len(letters).to_bytes(4, "little") + letters
    path = tmp_path / "a.wav"
    for content in (plain[:12] + comment + plain[12:], plain + comment):
        path.write_bytes(content)
        notes, sound = notes_and_sound(path)
        assert (notes, len(sound)) == ((), SAMPLE_RATE)


@pytest.mark.parametrize("announced", [0, 1_000, 36_000 * 32_000])
def test_a_wav_is_read_to_its_end_whatever_its_header_says(tmp_path: Path, announced: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(seconds=2, announced=announced))
    notes, sound = notes_and_sound(path)
    assert len(sound) == 2 * SAMPLE_RATE
    assert notes == ((MISSING,) if announced > 64_000 else ())


def test_opposite_channels_do_not_cancel(tmp_path: Path) -> None:
    voice = decode(DATA / "sentence.wav")
    half = len(voice) // 2
    turning = np.concatenate([voice[:half], -voice[half:]])  # in phase first, then opposite
    path = tmp_path / "a.wav"
    for right in (-voice, turning, voice * 0):
        path.write_bytes(wav_bytes(channels=2, data=np.stack([voice, right], axis=1).tobytes()))
        notes, sound = notes_and_sound(path)
        assert level(sound) == pytest.approx(level(voice), rel=0.1)
        assert any("cancel" in note for note in notes) == bool(right.any())


def test_damage_anywhere_ends_in_sound_or_a_sentence(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for name in SENTENCES:
        whole = (DATA / name).read_bytes()
        for _ in range(8):
            content = bytearray(whole[: random.integers(20, len(whole))])
            for at in random.integers(0, len(content), 10):
                content[at] = random.integers(256)
            path = tmp_path / name
            path.write_bytes(content)
            with contextlib.suppress(InvalidMedia):
                decode(path, 4000.0)
