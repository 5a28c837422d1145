"""Recordings as people's devices make them, through the doors that take files: the right words at the right times."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.sync.client import connect

from engines.speech.audio import open_audio
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MODEL, wav_bytes
from tests.engines.speech.tones import Picture, Track, written
from tests.serving import create_app, make_studio, serving, settings_in
from tests.small_engines import BlobEngine

RATE = 16_000
SENTENCES: dict[str, str] = json.loads((DATA / "sentences.json").read_text())
FIRST, SECOND = (SENTENCES[f"{name}.wav"].split() for name in ("sentence", "digits"))
CLOSE = 0.15
"""Seconds between a word's times in two codings: the model looks at 30 ms at once, and decides by what is around."""

Sound = NDArray[np.float64]


def sound_of(name: str) -> Sound:
    with open_audio(DATA / f"{name}.wav") as audio:
        return np.frombuffer(b"".join(audio.blocks()), "<i2") / 32_768


S, T = sound_of("sentence"), sound_of("digits")
S_SECONDS = len(S) / RATE


def spoken(sound: Sound, codec: str, **more: Any) -> Track:
    return Track(sound=sound, codec=codec, rate=RATE, **more)


def wav(sound: Sound, other: Sound | None = None) -> bytes:
    """Of one channel, or of two."""
    channels = [sound] if other is None else [sound, other]
    data = (np.stack(channels, axis=1) * 32_767).astype("<i2").tobytes()
    return wav_bytes(channels=len(channels), data=data)


def paused() -> bytes:
    silence = np.zeros(10 * RATE)
    gap = ((S_SECONDS, S_SECONDS + 9.9),)
    return written("webm", spoken(np.concatenate([S, silence, T]), "libopus", gaps=gap))


def commented() -> bytes:
    plain = wav(S)
    letters = b"data" + b"\xf0" * 4 + b"RIFF1234WAVEfmt "
    return plain[:12] + b"LIST" + len(letters).to_bytes(4, "little") + letters + plain[12:]


def two_tracks() -> bytes:
    quiet = spoken(np.zeros(len(S)), "aac", language="eng", default=True)
    return written("mp4", quiet, spoken(S, "aac", language="deu", default=False))


@dataclass(frozen=True)
class Case:
    """A recording, the words of which file are heard from when on, and what its note says."""

    make: Callable[[], bytes]
    words: list[tuple[list[str], float]]
    note: str = ""
    seconds: float = S_SECONDS


LATE = {"delay": 3.0}
CASES = {
    "gap.webm": Case(paused, [(FIRST, 0.0), (SECOND, S_SECONDS + 10)], seconds=S_SECONDS + 10 + len(T) / RATE),
    "late.mp4": Case(
        lambda: written("mp4", spoken(S, "aac", **LATE), picture=Picture(seconds=6)),
        [(FIRST, 3.0)],
        seconds=3 + S_SECONDS,
    ),
    "late.avi": Case(
        lambda: written("avi", spoken(S, "libmp3lame", **LATE), picture=Picture(seconds=6)),
        [(FIRST, 3.0)],
        seconds=3 + S_SECONDS,
    ),
    "comment.wav": Case(commented, [(FIRST, 0.0)]),
    "video6.webm": Case(
        lambda: written("webm", spoken(S, "libopus"), picture=Picture("libvpx", seconds=6)), [(FIRST, 0.0)]
    ),
    "quiet_start.aac": Case(
        lambda: written("adts", spoken(np.concatenate([np.zeros(3 * RATE), S, T]), "aac")),
        [(FIRST, 3.0), (SECOND, 3 + S_SECONDS)],
        seconds=3 + S_SECONDS + len(T) / RATE,
    ),
    "tracks.mp4": Case(two_tracks, [(FIRST, 0.0)], "2 sound tracks: number 2 was heard"),
    "opposite.wav": Case(lambda: wav(S, -S), [(FIRST, 0.0)], "cancel each other"),
    "one_side.wav": Case(lambda: wav(0 * S, S), [(FIRST, 0.0)]),
    "joined.wav": Case(
        lambda: wav(S) + wav(T),
        [(FIRST, 0.0), (SECOND, S_SECONDS)],
        "joined on at 3.3 s",
        seconds=S_SECONDS + len(T) / RATE,
    ),
    "joined.mp3": Case(
        lambda: written("mp3", spoken(S, "libmp3lame")) + written("mp3", spoken(T, "libmp3lame", layout="stereo")),
        [(FIRST, 0.0), (SECOND, S_SECONDS)],
        "joined on at 3.3 s",
        seconds=S_SECONDS + len(T) / RATE,
    ),
}
"""The kinds of recording that once were heard wrongly or not at all."""


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A studio with the built-in speech model and its page."""
    studio = make_studio(settings_in(tmp_path_factory.mktemp("data")), BlobEngine(), VoskEngine(MODEL))
    with serving(create_app(studio)) as url, httpx.Client(base_url=url, timeout=120) as client:
        yield client


def openai_door(http: httpx.Client, name: str, content: bytes, **more: str) -> dict[str, Any]:
    form = {"response_format": "verbose_json", "timestamp_granularities[]": "word", **more}
    answer = http.post("/v1/audio/transcriptions", files={"file": (name, content)}, data=form)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def page_door(http: httpx.Client, name: str, content: bytes, language: str = "") -> dict[str, Any]:
    """As the page does: upload, start, and follow until the end."""
    [path] = http.post("/gradio_api/upload", files={"files": (name, content)}).json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = http.post("/gradio_api/call/transcribe", json={"data": [file, language]}).json()["event_id"]
    lines = http.get(f"/gradio_api/call/transcribe/{event}").text.strip().splitlines()
    assert lines[-2] == "event: complete", lines[-1]
    text, words, _, job = json.loads(lines[-1].removeprefix("data: "))
    result = http.get(f"/jobs/{job}").json()["result"]
    return {**result, "text": text, "words": words}


@pytest.fixture(scope="module")
def references(http: httpx.Client) -> dict[str, float]:
    """When each word begins in the plain files."""
    found: dict[str, float] = {}
    for sound in (S, T):
        for word in openai_door(http, "plain.wav", wav(sound))["words"]:
            found.setdefault(word["word"], word["start"])
    return found


@pytest.mark.parametrize("name", CASES)
def test_words_and_times_are_right_through_both_doors(
    http: httpx.Client, references: dict[str, float], name: str
) -> None:
    case = CASES[name]
    content = case.make()
    wanted = [word for words, _ in case.words for word in words]
    begins = [references[word] + begin for words, begin in case.words for word in dict.fromkeys(words)]
    for told in (openai_door(http, name, content), page_door(http, name, content)):
        assert " ".join(told["text"].split()) == " ".join(wanted)
        firsts = {word["word"]: word["start"] for word in reversed(told["words"])}
        assert [firsts[word] for words, _ in case.words for word in dict.fromkeys(words)] == pytest.approx(
            begins, abs=CLOSE
        )
        assert told["duration"] == pytest.approx(case.seconds, abs=0.2)
    note = page_door(http, name, content)["note"].partition("Demo")[0] if case.note else ""
    assert case.note in note


@pytest.mark.parametrize("language", ["English", "en-US", "EN_gb", "auto", "", "null"])
def test_a_language_may_be_a_name_a_region_or_left_open(http: httpx.Client, language: str) -> None:
    content = wav(S)
    for told in (openai_door(http, "a.wav", content, language=language), page_door(http, "a.wav", content, language)):
        assert told["text"] == " ".join(FIRST)
        assert told["language"] == "en"


@pytest.mark.parametrize("language", ["English", "en-US", "auto", ""])
def test_so_it_may_be_where_speech_is_live(http: httpx.Client, language: str) -> None:
    base = str(http.base_url).replace("http", "ws", 1)
    query = urlencode({"language": language, "sample_rate": RATE})
    with connect(f"{base}/v1/vosk?{query}") as socket:
        socket.send((S[: 2 * RATE] * 32_767).astype("<i2").tobytes())
        socket.send('{"eof": 1}')
        told = [json.loads(message) for message in socket]
    assert "hello" in told[-1]["text"]
    with connect(f"{base}/v1/realtime?intent=transcription") as socket:
        transcription = {"model": "vosk", "language": language}
        session = {"type": "transcription", "audio": {"input": {"transcription": transcription}}}
        socket.send(json.dumps({"type": "session.update", "session": session}))
        kinds = [json.loads(socket.recv(timeout=20))["type"] for _ in range(2)]
    assert kinds[-1] == "session.updated"


def test_a_language_without_a_model_is_refused_by_name(http: httpx.Client) -> None:
    form = {"language": "German"}
    answer = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(S))}, data=form)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "language"
