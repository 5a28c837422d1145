"""The speech service on Cloud Run's terms: a start, ten instances of which some are killed, and what a minute costs.

Instances are processes of this machine behind HAProxy, which gives each as many requests at once as Cloud Run would.
They share this machine's cores, so that their speed together says nothing; what one uses of a processor does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.report import report
from engines.requests import TranscribeRequest
from engines.speech.cloud_run import CallOptions, CloudRunEngine
from tests.deploy.balancer import balancer
from tests.deploy.instances import Instance, instances

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "models" / "vosk-demo-en"
RECORDING = ROOT / "tests" / "data" / "speech" / "longer.wav"

# https://cloud.google.com/run/pricing in US dollars: regions of tier 1, request-based billing, November 2026. Only the
# vCPU's was checked against a copy of that page; the others are from other sites. An instance is billed while it has a
# request.
VCPU_SECOND, GIB_SECOND, REQUEST = 0.000024, 0.0000025, 0.40 / 1e6
IDLE_VCPU_SECOND, IDLE_GIB_SECOND = 0.0000025, 0.0000025
VCPUS, GIBS = 2, 2
"""Of an instance, as service.yaml has it."""
MONTH = 30 * 24 * 3600


def command(model: Path) -> list[str]:
    return [sys.executable, "launch.py", "transcriber", "--vosk-model", str(model)]


def environment() -> dict[str, str]:
    """Cloud Run's, with bytecode kept, as the image has it."""
    dropped = ("STUDIO_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | {"K_SERVICE": "bench"}


def start(model: Path) -> tuple[float, float, float]:
    """Of one start: seconds until it is ready, seconds of processor until then, megabytes (PSS)."""
    began = time.perf_counter()
    with instances(1, command(model), ROOT, environment(), quiet=True) as [one]:
        return time.perf_counter() - began, one.cpu_seconds, one.memory_mb


def processor_seconds_a_minute(model: Path, recording: Path, repeats: int) -> tuple[float, float]:
    """What one instance uses for a minute of sound, two recordings at once; and how large it is then (MB, PSS)."""
    with instances(1, command(model), ROOT, environment(), quiet=True) as [one]:
        with wave.open(str(recording)) as sound:
            minutes = sound.getnframes() / sound.getframerate() / 60
        engine = CloudRunEngine(one.url)
        work(engine, recording, 2, 2)  # both processes have the model now
        before = one.cpu_seconds
        work(engine, recording, repeats, 2)
        return (one.cpu_seconds - before) / (repeats * minutes), one.memory_mb


def work(engine: CloudRunEngine, file: Path, count: int, at_once: int, done: list[str] | None = None) -> None:
    def one(_: int) -> None:
        got = engine.transcribe(TranscribeRequest(filename="a.wav"), file, lambda _: None, Event())
        if done is not None:
            done.append(got.text)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(count)))


def killed_in_the_middle(model: Path, count: int, recordings: int, kills: int) -> dict[str, object]:
    """Recordings sent to `count` instances behind one address while `kills` of them are killed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        instances(count, command(model), ROOT, environment(), quiet=True) as them,
        balancer(Path(folder), [each.port for each in them]) as address,
    ):
        megabytes = [each.memory_mb for each in them]
        done: list[str] = []
        began = time.perf_counter()
        with ThreadPoolExecutor(1) as pool:
            engine = CloudRunEngine(address, options=CallOptions(backoff=0.2))
            sent = pool.submit(work, engine, RECORDING, recordings, 2 * count, done)
            for number, doomed in enumerate(them[:kills], 1):
                while len(done) < number * recordings // (kills + 1):
                    time.sleep(0.05)
                kill(doomed)
            sent.result()
        return {
            "instances": count,
            "killed": kills,
            "recordings": recordings,
            "transcribed": len(done),
            "alike": len(set(done)) == 1,
            "seconds_on_shared_cores": round(time.perf_counter() - began, 1),
            "memory_mb_each": round(statistics.median(megabytes)),
        }


def kill(instance: Instance) -> None:
    """When it has something to do, if it ever does: each is asked in turn."""
    import httpx

    for _ in range(200):
        if httpx.get(f"{instance.url}/health", timeout=30).json()["active"]:
            break
        time.sleep(0.02)
    instance.kill()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vosk-model", type=Path, default=DEMO, help="a real model makes the cost a real one")
    parser.add_argument("--recording", type=Path, default=RECORDING, help="a WAV in the model's language, for the cost")
    parser.add_argument("--instances", type=int, default=10)
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args(argv)
    model = options.vosk_model.absolute()
    start(model)  # so that every file has been read once
    starts = [start(model) for _ in range(5)]
    used, busy_mb = processor_seconds_a_minute(model, options.recording, options.repeats)
    lost = killed_in_the_middle(model, options.instances, options.recordings, options.kills)
    second = VCPUS * VCPU_SECOND + GIBS * GIB_SECOND
    idle = VCPUS * IDLE_VCPU_SECOND + GIBS * IDLE_GIB_SECOND
    report(
        "cloudrun" if model == DEMO else f"cloudrun_{model.name}",
        {
            "model": model.name,
            "ready_s": round(min(ready for ready, _, _ in starts), 2),
            "ready_median_s": round(statistics.median(ready for ready, _, _ in starts), 2),
            "start_processor_s": round(statistics.median(cpu for _, cpu, _ in starts), 2),
            "ready_mb": round(statistics.median(mb for _, _, mb in starts)),
            "busy_mb": round(busy_mb),
            "processor_s_per_audio_minute": round(used, 2),
            # Two recordings at once share the bill of a second; one alone pays for both processors.
            "usd_per_1000_audio_minutes": round(1000 * (used / VCPUS * second + REQUEST), 3),
            "usd_per_1000_audio_minutes_one_at_a_time": round(1000 * (used * second + REQUEST), 3),
            "usd_per_month_for_one_idle_instance": round(MONTH * idle, 2),
            **lost,
        },
    )


if __name__ == "__main__":
    main()
