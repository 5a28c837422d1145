"""Whether cutting long recordings costs words: `python -m bench.speech_words --model FOLDER [--turns 64]`.

A Korean weather report of known words, made of recorded pieces of speech (MBROLA's voice hn1 with the rhythm and pitch
of a person, as its authors ship it), at many speeds and pitches one after another: the loop of Vosk's own example hears
it uncut, our engine in pieces on several cores, and `launch.py transcriber` in pieces that our engine sends it. Tells
each one's character error rate against the text (Korean models split words as they like, so spaces say nothing), how
much more that is than uncut with its 95 % interval over the turns, how many words differ, and how many times of the
words that are the same are within 30 ms. All of it is also told of the same sound uncut with another dither (the faint
noise that the model adds to all sound), and begun half a second later, against which each must be held: no two hearings
are alike.

Needs `apt install mbrola mbrola-hn1` (Debian's contrib and non-free), or their files' place with --mbrola and --voice,
and `pip install -r bench/requirements.txt`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from bench.live_beside_file import service
from bench.report import report
from bench.speech import Word, begun_later, difference, example, ours, seconds_apart, share_within
from engines.events import ignore
from engines.requests import TranscribeRequest
from engines.speech.cloud_run import CallOptions, CloudRunEngine
from engines.speech.pieces import FRAME
from engines.speech.vosk_engine import VoskEngine

SPOKEN = {
    "s131": "바람과 해님이 서로 힘이 더 세다고 다투고 있었습니다",
    "s132": "벌써 사흘째 남부 지방에 호우는 계속되고 있습니다 오늘 하루만도 전남과 영남 내륙 지방으로는 백 밀리미터가 "
    "넘는 많은 비가 내렸습니다 지금도 여전히 경남과 전남 남해안 지방으로는 호우 경보가 내려져 있고 전북과 전남 내륙 "
    "지방으로는 호우 주의보가 내려진 가운데 오늘 밤 사이에도 천둥 번개가 치면서 집중 호우가 내릴 가능성이 높습니다",
}
"""What the examples of the voice say."""

RATE = 16_000
PAUSE_SECONDS = 0.6

BLOCK = 10 * FRAME
"""Samples that the example's loop gives at a time: 0.3 s instead of 0.25. Each ten minutes Vosk counts its frames of 30
ms anew, from the beginning of what it is given next. With the example's own blocks they lie a third of a frame apart
from there on, and words begin up to 60 ms earlier or later by the count alone."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One reading of all of it."""

    start: float
    end: float
    """Seconds in the recording; the pause after it is in."""


def main() -> None:
    """Measure, print one JSON line, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m bench.speech_words", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--mbrola", default="mbrola", help="the program")
    parser.add_argument("--voice", type=Path, default=Path("/usr/share/mbrola/hn1/hn1"))
    parser.add_argument("--examples", type=Path, default=Path("/usr/share/doc/mbrola-hn1/examples"))
    parser.add_argument("--turns", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "speech.wav"
        turns = _speak(sound, options)
        with ThreadPoolExecutor() as threads:
            later = threads.submit(begun_later, options.model, sound, BLOCK)
            (_, uncut), (_, again) = threads.map(partial(example, options.model, sound, block=BLOCK), (1, 2))
        _, here = ours(options.model, options.workers, sound)
        there = asyncio.run(_by_a_service(options.model, sound, turns[-1].end / 60))
    text = _plain("".join(SPOKEN.values()))
    wrong = [_errors(text, _said(uncut, turn)) for turn in turns]
    heard = {
        "uncut_with_another_dither": again,
        "uncut_begun_half_a_second_later": later.result(),
        "in_pieces": here,
        "by_a_service_in_pieces": there,
    }
    report(
        "speech_words-ko",
        {
            "recording_seconds": round(turns[-1].end, 1),
            "turns": len(turns),
            "characters": len(text) * len(turns),
            "character_error_rate_uncut": round(sum(wrong) / len(text) / len(turns), 4),
            **{name: _against_uncut(words, uncut, wrong, text, turns) for name, words in heard.items()},
        },
    )


async def _by_a_service(model: Path, sound: Path, minutes: float) -> list[Word]:
    """Sent to `launch.py transcriber` on this machine, two pieces at a time."""

    def send(url: str) -> list[Word]:
        remote = CloudRunEngine(url, VoskEngine(model, workers=1), options=CallOptions(at_once=2, busy_seconds=1e6))
        try:
            transcript = remote.transcribe(TranscribeRequest(), sound, ignore, Event())
        finally:
            remote.close()
        assert "local engine" not in transcript.note, transcript.note
        return [(word.word, word.start) for word in transcript.words]

    async with service(model, minutes + 5) as (url, _):
        return await asyncio.to_thread(send, url)


def _against_uncut(
    words: list[Word], uncut: list[Word], wrong_uncut: list[int], text: str, turns: list[Turn]
) -> dict[str, Any]:
    wrong = [_errors(text, _said(words, turn)) for turn in turns]
    characters = len(text) * len(turns)
    # Each turn by itself: all say the same, and a word is not to be held against another turn's.
    both = [(_in(uncut, turn), _in(words, turn)) for turn in turns]
    differ = sum(difference(*pair)["words_that_differ_from_uncut"] for pair in both)
    return {
        "character_error_rate": round(sum(wrong) / characters, 4),
        "points_more": round(100 * (sum(wrong) - sum(wrong_uncut)) / characters, 2),
        "points_more_95_percent_interval": _interval(wrong_uncut, wrong, len(text)),
        "share_of_words_that_differs": round(differ / len(uncut), 4),
        "times_within_0.03_s": share_within([apart for pair in both for apart in seconds_apart(*pair)]),
    }


def _speak(path: Path, options: argparse.Namespace) -> list[Turn]:
    """Write the recording; where each turn is."""
    turns: list[Turn] = []
    chance = random.Random(1)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        for _ in range(options.turns):
            pitch, slower = chance.uniform(0.8, 1.25), chance.uniform(0.85, 1.2)
            start = out.tell() / RATE
            for name in SPOKEN:
                raw = path.with_suffix(".raw")
                score = options.examples / f"{name}.pho"
                scaled = ["-f", f"{pitch:.3f}", "-t", f"{slower:.3f}"]
                subprocess.run([options.mbrola, *scaled, options.voice, score, raw], check=True, capture_output=True)
                out.writeframes(raw.read_bytes() + bytes(2 * int(PAUSE_SECONDS * RATE)))
            turns.append(Turn(start, out.tell() / RATE))
    return turns


def _said(words: list[Word], turn: Turn) -> str:
    return _plain("".join(word for word, _ in _in(words, turn)))


def _in(words: list[Word], turn: Turn) -> list[Word]:
    return [(word, start) for word, start in words if turn.start <= start < turn.end]


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isalpha())


def _errors(text: str, said: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(said) + 1))
    for number, wanted in enumerate(text, start=1):
        before, row[0] = row[0], number
        for place, given in enumerate(said, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (wanted != given))
    return row[-1]


def _interval(uncut: list[int], cut: list[int], characters: int) -> tuple[float, float]:
    """Percentage points, by drawing the turns anew (the bootstrap)."""
    chance = random.Random(1)
    apart = [b - a for a, b in zip(uncut, cut, strict=True)]
    drawn = sorted(sum(chance.choices(apart, k=len(apart))) for _ in range(2000))
    points = [round(100 * drawn[place] / (characters * len(apart)), 2) for place in (50, 1949)]
    return points[0], points[1]


if __name__ == "__main__":
    main()
