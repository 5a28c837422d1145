"""Ten people who speak while a recording of three hours is transcribed: `python -m bench.live_beside_file`.

The service (`launch.py transcriber`) with the built-in model, or another. What the speakers wait for is measured twice
in one run: alone, which is the plain alternative, and beside the file. A speaker sends a tenth of a second of sound
every tenth of a second, as a microphone does; how far the words are behind the voice is the time until its answer is
there. All say the same, so they begin one after another: at a pause there is most to compute. Also told: memory of the
service with all its processes, and how many speakers got as many words as the first one did alone. (Which words,
differs for a model that synthetic speech confuses: a wait changes what it hears at once.)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

from bench.report import report
from bench.speech import ROOT, SAY, memory_mb, processes_of, speak, until_idle

BUILT_IN = ROOT / "models" / "vosk-demo-en"

BLOCK_SECONDS = 0.1
BLOCK = int(16_000 * 2 * BLOCK_SECONDS)


@dataclass
class Speaker:
    """One live session and what it was told."""

    waits: list[float] = field(default_factory=list)
    """Seconds from sending a block to its answer."""
    words: list[str] = field(default_factory=list)

    async def speak(self, url: str, sound: bytes) -> None:
        async with connect(f"{url.replace('http', 'ws')}/v1/vosk") as live:
            await live.send(json.dumps({"config": {"sample_rate": 16_000}}))
            began = time.perf_counter()
            sent: list[float] = []
            listening = asyncio.create_task(self._listen(live, sent))
            for number, at in enumerate(range(0, len(sound), BLOCK)):
                await asyncio.sleep(max(0.0, began + number * BLOCK_SECONDS - time.perf_counter()))
                sent.append(time.perf_counter())
                await live.send(sound[at : at + BLOCK])
            await live.send('{"eof": 1}')
            await listening

    async def _listen(self, live: Any, sent: list[float]) -> None:
        number = 0
        async for message in live:
            told = json.loads(message)
            if number < len(sent):
                self.waits.append(time.perf_counter() - sent[number])
                number += 1
            self.words += told.get("text", "").split()


async def speakers(url: str, sound: bytes, count: int, apart: float) -> list[Speaker]:
    """So many speak, each beginning `apart` seconds later than the one before."""
    some = [Speaker() for _ in range(count)]

    async def one(speaker: Speaker, after: float) -> None:
        await asyncio.sleep(after)
        await speaker.speak(url, sound)

    await asyncio.gather(*(one(speaker, number * apart) for number, speaker in enumerate(some)))
    return some


@asynccontextmanager
async def service(model: Path, max_minutes: float) -> AsyncIterator[tuple[str, int]]:
    """The address and process id of `launch.py transcriber`."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        settings = {
            "STUDIO_DATA_DIR": folder,
            "STUDIO_VOSK_MODEL": str(model),
            "STUDIO_MAX_AUDIO_MINUTES": str(math.ceil(max_minutes)),
            "STUDIO_MAX_UPLOAD_MB": "2000",
            "STUDIO_LIVE_SESSIONS": "16",
        }
        command = [sys.executable, "launch.py", "transcriber", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient() as http:
                while True:
                    try:
                        if (await http.get(f"{url}/health", timeout=5)).status_code == 200:
                            break
                    except httpx.TransportError:
                        pass
                    await asyncio.sleep(0.1)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait()


async def transcribed(http: httpx.AsyncClient, path: Path) -> str:
    with path.open("rb") as file:
        answer = await http.post("/v1/audio/transcriptions", files={"file": file}, data={"model": "vosk"})
    answer.raise_for_status()
    return str(answer.json()["text"])


async def watch_memory(pid: int, most: list[float]) -> None:
    while True:
        most.append(sum(map(memory_mb, processes_of(pid))))
        await asyncio.sleep(1)


async def measure(model: Path, language: str, hours: float, seconds: float, count: int, apart: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder) / "short.wav", Path(folder) / "long.wav"
        speak(short, language, seconds)
        length = speak(long, language, hours * 3600)
        with wave.open(str(short)) as file:
            sound = file.readframes(file.getnframes())
        async with service(model, hours * 60 + 5) as (url, pid), httpx.AsyncClient(base_url=url, timeout=7200) as http:
            # A loaded model warms up while nobody asks for anything.
            await asyncio.to_thread(until_idle, pid)
            alone = await speakers(url, sound, count, apart)
            before = sum(map(memory_mb, processes_of(pid)))
            memory: list[float] = []
            watching = asyncio.create_task(watch_memory(pid, memory))
            began = time.perf_counter()
            sending = asyncio.create_task(transcribed(http, long))
            await asyncio.sleep(5)
            beside = await speakers(url, sound, count, apart)
            still = not sending.done()
            text = await sending
            took = time.perf_counter() - began
            watching.cancel()
    return {
        "recording_seconds": round(length),
        "recording_took_seconds": round(took, 1),
        "recording_words": len(text.split()),
        "file_was_in_work_all_the_time": still,
        "speakers": count,
        "seconds_each": seconds,
        "seconds_between_their_beginnings": apart,
        **{f"alone_{name}": value for name, value in waits(alone).items()},
        **{f"beside_{name}": value for name, value in waits(beside).items()},
        "times_as_long_as_alone": round(waits(beside)["median_ms"] / waits(alone)["median_ms"], 2),
        "blocks_without_answer": sum(math.ceil(len(sound) / BLOCK) - len(one.waits) for one in [*alone, *beside]),
        "speakers_who_got_as_many_words": sum(len(one.words) == len(alone[0].words) for one in beside),
        "memory_mb_before": round(before),
        "memory_mb_at_most": round(max(memory)),
    }


def waits(some: list[Speaker]) -> dict[str, float]:
    all_of_them = sorted(wait for one in some for wait in one.waits)
    return {
        "median_ms": round(1000 * statistics.median(all_of_them)),
        "p95_ms": round(1000 * statistics.quantiles(all_of_them, n=20)[18]),
        "most_ms": round(1000 * all_of_them[-1]),
    }


def main() -> None:
    """Measure, print one JSON line, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_beside_file", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUILT_IN)
    parser.add_argument("--language", choices=SAY, default="en")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each speaker speaks")
    parser.add_argument("--speakers", type=int, default=10)
    parser.add_argument(
        "--apart", type=float, default=0.37, help="seconds by which each begins later; with few all pause in unison"
    )
    options = parser.parse_args()
    name = "live_beside_file" if options.model == BUILT_IN else f"live_beside_file-{options.language}"
    figures = measure(options.model, options.language, options.hours, options.seconds, options.speakers, options.apart)
    report(name, asyncio.run(figures))


if __name__ == "__main__":
    main()
