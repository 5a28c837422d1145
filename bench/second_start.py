"""How long a start takes where everything is installed: to the first answer, and until pictures can be made.

The plain alternative, in the same run, is a script that imports Gradio, torch and diffusers and loads the same model.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.report import report

ROOT = Path(__file__).resolve().parent.parent
PLAIN = """
import gradio, torch
from diffusers import StableDiffusionXLPipeline
StableDiffusionXLPipeline.from_pretrained("models/sketch", add_watermarker=False)
"""


def plain() -> float:
    """Seconds of the script, its own start included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", PLAIN], cwd=ROOT, env=_environment(), check=True, capture_output=True)
    return time.perf_counter() - began


def start() -> tuple[float, float]:
    """Seconds until anything is answered, and until /health says healthy."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        began = time.perf_counter()
        command = [sys.executable, "launch.py", "--port", str(port), "--image-model", "sketch"]
        studio = subprocess.Popen(
            command, cwd=ROOT, env=_environment(STUDIO_DATA_DIR=folder), stdout=subprocess.DEVNULL
        )
        # One client, that looks now and then: making one takes as much of a core as a tenth of the start.
        client = httpx.Client(timeout=30)
        try:
            first = _until(client, f"http://127.0.0.1:{port}/health/live", began)
            return first, _until(client, f"http://127.0.0.1:{port}/health", began)
        finally:
            studio.terminate()
            studio.wait()


def _until(client: httpx.Client, url: str, began: float) -> float:
    while True:
        try:
            if client.get(url).status_code == 200:
                return time.perf_counter() - began
        except httpx.TransportError:
            pass
        time.sleep(0.1)


def _environment(**variables: str) -> dict[str, str]:
    """A user's: where bytecode is kept, so that a second start does not compile this project again."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | variables


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    start()  # so that every file has been read once
    scripts, starts = [], []
    for _ in range(rounds):
        scripts.append(plain())
        starts.append(start())
    first = statistics.median(first for first, _ in starts)
    ready = statistics.median(ready for _, ready in starts)
    alone = statistics.median(scripts)
    report(
        "second_start",
        {
            "rounds": rounds,
            "first_answer_s": round(first, 2),
            "ready_s": round(ready, 2),
            "plain_script_s": round(alone, 2),
            "times_the_plain_script": round(ready / alone, 2),
        },
    )


if __name__ == "__main__":
    main()
