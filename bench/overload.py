"""Ten times as many requests as the device can do, for a minute: what callers are told, and how /health/live fares.

The plain alternative, in the same run, is /health/live of the same server with nothing else to do. The engine takes
0.2 s a picture and no CPU, so that what is measured is the server. Fails if anybody is answered otherwise than with a
picture, or with 429 or 503 and Retry-After.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.report import report
from tests.serving import process_of

STUDIO = """
import sys
from pathlib import Path
from app.runner import listen, run
from tests.serving import create_api, make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

settings = settings_in(Path(sys.argv[2]), port=int(sys.argv[1]))
studio = make_studio(settings, BlobEngine(steps=8, step_seconds=0.025), EchoSpeech())
listener = listen("127.0.0.1", settings.port)
app = create_api(studio)
sys.exit(run(app, listener, studio.queue, drain_seconds=60, on_started=lambda: print("started", flush=True)))
"""
PICTURES_A_SECOND = 5
TIMES_TOO_MANY = 10
LOOK_SECONDS = 0.05


async def live(http: httpx.AsyncClient, seconds: float) -> list[float]:
    """Milliseconds of /health/live, asked for again and again."""
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        (await http.get("/health/live")).raise_for_status()
        times.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(LOOK_SECONDS)
    return times


async def ask(http: httpx.AsyncClient, seed: int, answers: Counter[str]) -> None:
    answer = await http.post("/generate", json={"prompt": "a red disc", "width": 256, "height": 256, "seed": seed})
    told = answer.status_code in (429, 503) and "retry-after" in answer.headers
    answers[str(answer.status_code) if answer.status_code == 200 or told else f"{answer.status_code} (wrong)"] += 1


async def overload(url: str, seconds: float) -> tuple[list[float], list[float], Counter[str]]:
    answers: Counter[str] = Counter()
    limits = httpx.Limits(max_connections=None)
    # A client of its own: what is measured is the server's answer, not a wait for a connection of the crowd's.
    async with httpx.AsyncClient(base_url=url, timeout=60) as calm:
        quiet = await live(calm, min(10.0, seconds))
        async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as crowd, asyncio.TaskGroup() as group:
            looking = group.create_task(live(calm, seconds))
            for seed in range(int(seconds * PICTURES_A_SECOND * TIMES_TOO_MANY)):
                group.create_task(ask(crowd, seed, answers))
                await asyncio.sleep(1 / (PICTURES_A_SECOND * TIMES_TOO_MANY))
    return quiet, looking.result(), answers


def p99(times: list[float]) -> float:
    return round(statistics.quantiles(times, n=100)[98], 1)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args(argv).seconds
    with tempfile.TemporaryDirectory() as folder, process_of(STUDIO, folder) as (_, url):
        quiet, busy, answers = asyncio.run(overload(url, seconds))
    report(
        "overload",
        {
            "seconds": seconds,
            "asked": sum(answers.values()),
            "answers": dict(sorted(answers.items())),
            "live_p99_ms": p99(busy),
            "live_quiet_p99_ms": p99(quiet),
            "times_the_quiet_one": round(p99(busy) / p99(quiet), 1),
        },
    )
    if wrong := [answer for answer in answers if "wrong" in answer]:
        sys.exit(f"answered otherwise than promised: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
