"""Long recordings: `python -m bench.speech --model FOLDER [--language ko] [--minutes 5] [--workers 2]`.

In one run on the same sound (espeak-ng's voice): the loop of Vosk's own example, our engine on one core, and our engine
on several. Tells seconds, seconds of computing, time to the first words, memory, and how the words differ from the
uncut ones; beside it how the uncut words differ when the same sound begins half a second later, which is what such a
difference has to be held against. The built-in model is the default; `pip install -r bench/requirements.txt` has a
model of real cost.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

from bench.report import report
from engines import events
from engines.events import SegmentHeard
from engines.requests import TranscribeRequest
from engines.speech.pieces import FRAME, SAMPLE_RATE
from engines.speech.vosk_engine import VoskEngine

ROOT = Path(__file__).resolve().parents[1]
SAY = {
    "en": "good morning please send a voice message today. hello this is a test of the carrot app. thank you. "
    "welcome to the carrot app. the weather is sunny.",
    "ko": "안녕하세요 오늘은 날씨가 매우 좋습니다. 우리는 내일 학교에서 만나기로 했습니다. "
    "지난주에 친구와 함께 영화를 보았습니다. 저녁에는 시장에 가서 과일과 채소를 샀습니다.",
}
Word = tuple[str, float]

EXAMPLE = """
import ctypes, json, sys, wave
from vosk import Model, KaldiRecognizer, SetLogLevel
SetLogLevel(-1)
ctypes.CDLL(None).srand(int(sys.argv[3]))
model = Model(model_path=sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
wf = wave.open(sys.argv[2], "rb")
rec = KaldiRecognizer(model, wf.getframerate())
rec.SetWords(True)
while True:
    data = wf.readframes(int(sys.argv[4]))
    if len(data) == 0:
        break
    if rec.AcceptWaveform(data):
        print(rec.Result().replace("\\n", ""), flush=True)
print(rec.FinalResult().replace("\\n", ""), flush=True)
"""
"""vosk-api/python/example/test_simple.py (Apache-2.0), started by a line so that loading is not counted. With a seed
for the dither that the model adds to all sound (C's own is 1), and the samples that it is given at a time."""

EXAMPLE_BLOCK = 4000
"""The example's own samples at a time."""

LATER = 17 * FRAME
"""Samples, half a second. Whole frames: times stay on their grid."""


def main() -> None:
    """Measure, print one JSON line, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m bench.speech", description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "vosk-demo-en")
    parser.add_argument("--language", choices=SAY, default="en")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "speech.wav"
        seconds = speak(sound, options.language, options.minutes * 60)
        plain, uncut = example(options.model, sound)
        later = begun_later(options.model, sound)
        one, _ = ours(options.model, 1, sound)
        several, words = ours(options.model, options.workers, sound)
    report(
        f"speech-{options.model.name if options.model.name != 'model' else options.language}",
        {
            "recording_seconds": round(seconds, 1),
            "vosk_example": plain,
            "ours_on_one_core": one,
            f"ours_on_{options.workers}_cores": several,
            "times_as_fast_as_the_example": round(plain["seconds"] / several["seconds"], 2),
            "computing_for_a_second_of_sound_against_the_example": round(
                plain["computing_seconds"] / several["computing_seconds"], 3
            ),
            **difference(uncut, words),
            "uncut_begun_half_a_second_later": difference(uncut, later),
        },
    )


def speak(path: Path, language: str, seconds: float) -> float:
    """Write speech of about that length at 16 kHz; the length that it has."""
    voices = [("150", "50"), ("140", "35"), ("160", "65"), ("145", "80")]
    spoken: list[bytes] = []
    for speed, pitch in voices:
        command = ["espeak-ng", "-v", language, "-s", speed, "-p", pitch, "--stdout", SAY[language]]
        said = subprocess.run(command, capture_output=True, check=True).stdout
        spoken.append(_at_16_khz(said))
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        turn = 0
        while out.tell() < seconds * 16_000:
            out.writeframes(spoken[turn % len(spoken)] + bytes(16_000))
            turn += 1
        return out.tell() / 16_000


def _at_16_khz(wav: bytes) -> bytes:
    from engines.speech.audio import open_audio

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(wav)
        file.flush()
        with open_audio(Path(file.name)) as audio:
            return b"".join(audio.blocks())


def example(model: Path, sound: Path, seed: int = 1, block: int = EXAMPLE_BLOCK) -> tuple[dict[str, Any], list[Word]]:
    """The loop of Vosk's own example in a process of its own."""
    words: list[Word] = []
    command = [sys.executable, "-c", EXAMPLE, str(model), str(sound), str(seed), str(block)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()

        def work(first: Callable[[], None]) -> None:
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            for line in process.stdout:
                for word in json.loads(line).get("result", []):
                    first()
                    words.append((word["word"], word["start"]))

        return _measured(process.pid, work), words


def begun_later(model: Path, sound: Path, block: int = EXAMPLE_BLOCK) -> list[Word]:
    """What the example hears of the same sound after `LATER` of silence, with times from the sound's beginning on."""
    later = sound.with_name("later.wav")
    with wave.open(str(sound)) as file, wave.open(str(later), "wb") as out:
        out.setparams(file.getparams())
        out.writeframes(bytes(2 * LATER) + file.readframes(file.getnframes()))
    _, words = example(model, later, block=block)
    return [(word, start - LATER / SAMPLE_RATE) for word, start in words]


def ours(model: Path, workers: int, sound: Path) -> tuple[dict[str, Any], list[Word]]:
    """Our engine with its model loaded."""
    engine = VoskEngine(model, workers=workers)
    words: list[Word] = []
    try:
        engine.load()
        until_idle(os.getpid())

        def work(first: Callable[[], None]) -> None:
            def on_event(event: events.Event) -> None:
                if isinstance(event, SegmentHeard):
                    first()

            transcript = engine.transcribe(TranscribeRequest(), sound, on_event, Event())
            words.extend((word.word, word.start) for word in transcript.words)

        return _measured(os.getpid(), work), words
    finally:
        engine.close()


def _measured(root: int, work: Callable[[Callable[[], None]], None]) -> dict[str, Any]:
    """`work` gets a function to call when it hears a word."""
    heard: list[float] = []
    most, watching = [0.0], [0.0]
    over = Event()

    def watch() -> None:
        # To add up the pages of a process takes the system up to a tenth of a second: seldom, but also of a short run.
        pause = 0.25
        while not over.wait(pause):
            most[0] = max(most[0], sum(map(memory_mb, processes_of(root))))
            watching[0] = time.thread_time()
            pause = min(2 * pause, 2)

    watcher = threading.Thread(target=watch)
    before = max(sum(map(memory_mb, processes_of(root))), 0.0)
    computed, began = _computed(root), time.monotonic()
    watcher.start()
    try:
        work(lambda: heard.append(time.monotonic()) if not heard else None)
        seconds = time.monotonic() - began
        computing = _computed(root) - computed
    finally:
        over.set()
        watcher.join()
    if root == os.getpid():
        computing -= watching[0]
    return {
        "seconds": round(seconds, 2),
        "computing_seconds": round(computing, 2),
        "first_words_after_seconds": round(heard[0] - began, 2) if heard else None,
        "memory_mb_with_the_model": round(before),
        "memory_mb_at_most": round(most[0]),
    }


def processes_of(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(parents.get(pid, []))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _computed(root: int) -> float:
    """Seconds of computing of a process, all below it, and those of them that have ended."""
    ticks = sum(sum(map(int, fields[11:15])) for pid in processes_of(root) if (fields := _stat(pid)))
    return ticks / os.sysconf("SC_CLK_TCK")


def until_idle(root: int) -> None:
    """A loaded model warms up while nobody asks for anything."""
    before = -1.0
    while (now := _computed(root)) - before > 0.05:
        before = now
        time.sleep(1)


def memory_mb(pid: int) -> float:
    """What a process holds, memory that it shares counted by its part."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:")) / 1024


def difference(uncut: list[Word], ours: list[Word]) -> dict[str, Any]:
    """How the words differ from those of the uncut recording, and the times of the words that are the same."""
    matcher = SequenceMatcher(None, [word for word, _ in uncut], [word for word, _ in ours], autojunk=False)
    wrong = sum(max(b - a, d - c) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal")
    apart = seconds_apart(uncut, ours)
    return {
        "words": len(uncut),
        "words_that_differ_from_uncut": wrong,
        "share_that_differs": round(wrong / max(len(uncut), 1), 4),
        "seconds_apart_median": round(median(apart), 3) if apart else None,
        "seconds_apart_share_within_0.03": share_within(apart),
    }


def seconds_apart(uncut: list[Word], ours: list[Word]) -> list[float]:
    """Between the beginnings of the words that are the same."""
    matcher = SequenceMatcher(None, [word for word, _ in uncut], [word for word, _ in ours], autojunk=False)
    return [
        abs(uncut[match.a + number][1] - ours[match.b + number][1])
        for match in matcher.get_matching_blocks()
        for number in range(match.size)
    ]


def share_within(apart: list[float]) -> float:
    """Of times, 30 ms apart at most."""
    return round(sum(one <= 0.031 for one in apart) / max(len(apart), 1), 4)


if __name__ == "__main__":
    main()
