"""How should OpenMP's threads wait for each other on a CPU? One sketch picture by the engine alone, by policy.

    python bench/cpu_threads.py

GNU OpenMP, which torch's CPU build computes with, reads its policy when torch is loaded, so each measurement is a
process of its own. Each round runs every policy once, alone and beside two processes that never rest; a ratio is a
policy's time by that of the plain alternative, no variable set, in the same round. Other work on the machine is
measured and told, not assumed away. The last line is JSON.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Event
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.report import report

ROOT = Path(__file__).resolve().parent.parent
POLICIES: dict[str, dict[str, str]] = {
    "none": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
}
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
PICTURES = 5
ENOUGH_SECONDS = 4.0
"""A process makes no further picture after this; beside busy ones a single picture may take minutes."""
LIMIT_SECONDS = 45.0
"""A process that has made no picture by then is ended, and this is taken as its time."""


def measure_here() -> float:
    """Median seconds of a picture in this process, with what its environment said when torch was loaded."""
    from engines.requests import ImageRequest
    from engines.sdxl.engine import SdxlEngine

    engine = SdxlEngine(Path("models/sketch"), "cpu")
    times: list[float] = []
    for seed in range(PICTURES + 1):  # the first one warms up
        start = time.perf_counter()
        request = ImageRequest(prompt="a woman with short black hair", width=256, height=256, seed=seed)
        engine.generate(request, None, lambda _: None, Event())
        times.append(time.perf_counter() - start)
        if seed and sum(times) > ENOUGH_SECONDS:
            break
    return statistics.median(times[1:])


def picture_seconds(policy: dict[str, str]) -> float:
    """Median seconds of a picture in a fresh process."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, __file__, "--here"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env={**environment, **policy}, stdout=subprocess.PIPE, timeout=LIMIT_SECONDS, check=True
        )
    except subprocess.TimeoutExpired:
        return LIMIT_SECONDS
    return float(json.loads(done.stdout))


@contextmanager
def two_busy_processes() -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


class OtherWork:
    """What share of the machine was used by processes that this bench did not start, 0 to 1."""

    def __init__(self) -> None:
        self._start = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """CPU seconds that were used and that there were, and those used by children that have ended."""
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        tick = os.sysconf("SC_CLK_TCK")
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        idle = fields[3] + fields[4]
        return (sum(fields) - idle) / tick, sum(fields) / tick, children.ru_utime + children.ru_stime

    def share(self) -> float:
        used, total, ours = (now - before for now, before in zip(self._now(), self._start, strict=True))
        return max(0.0, (used - ours) / total)


def measure(rounds: int, minutes: float) -> dict[str, Any]:
    """At most `rounds` rounds, none begun after `minutes`: seconds, ratios to no policy (median and range over the
    rounds), and others' share of the machine."""
    seconds: dict[str, dict[str, list[float]]] = {
        name: {policy: [] for policy in POLICIES} for name in ("quiet", "beside_two_busy")
    }
    others, started, done = [], time.monotonic(), 0
    while done < rounds and (done == 0 or time.monotonic() - started < 60 * minutes):
        # In another order each time, so that what else happens on the machine hits each policy alike.
        order = list(POLICIES)[done % 4 :] + list(POLICIES)[: done % 4]
        for name, beside in (("quiet", nullcontext), ("beside_two_busy", two_busy_processes)):
            for policy in order:
                watch = OtherWork()
                with beside():
                    seconds[name][policy].append(picture_seconds(POLICIES[policy]))
                others.append(watch.share())
                print(
                    f"{name:<16} {policy:<24} {seconds[name][policy][-1]:7.2f} s, others {others[-1]:.0%}", flush=True
                )
        done += 1
    return {
        "rounds": done,
        "other_work_share": {"median": round(statistics.median(others), 3), "most": round(max(others), 3)},
        **{name: {policy: _summary(runs, of["none"]) for policy, runs in of.items()} for name, of in seconds.items()},
    }


def _summary(runs: list[float], plain: list[float]) -> dict[str, Any]:
    ratios = [run / alone for run, alone in zip(runs, plain, strict=True)]
    return {
        "seconds": round(statistics.median(runs), 3),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_from": round(min(ratios), 2),
        "ratio_to": round(max(ratios), 2),
        "ended_at_the_limit": sum(run >= LIMIT_SECONDS for run in runs),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure how OpenMP's threads should wait.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=15, help="begin no further round after that")
    parser.add_argument("--here", action="store_true", help="measure in this process alone, and print the seconds")
    options = parser.parse_args(argv)
    if options.here:
        print(json.dumps(measure_here()))
        return
    started = time.monotonic()
    measured = measure(options.rounds, options.minutes)
    others = measured["other_work_share"]["median"]
    note = f"other processes took {others:.0%} of the machine" + (": not a quiet one" if others > 0.05 else "")
    report(
        "cpu_threads",
        {
            "minutes": round((time.monotonic() - started) / 60, 1),
            "note": note,
            **measured,
        },
    )


if __name__ == "__main__":
    main()
