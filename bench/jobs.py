"""What a job costs beside its picture: over HTTP, queue and store, with 10, 1,000 and 100,000 jobs stored.

The plain alternative, in the same run, is the engine called in a loop, its PNG encoded as base64. The engine draws a
plain square, so that nearly all of the time is the studio's own.
"""

from __future__ import annotations

import argparse
import base64
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.work.image import encode_png
from bench.report import report
from engines.requests import ImageRequest
from tests.serving import make_studio, process_of, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

SIZES = (10, 1_000, 100_000)
ROUNDS = 200
STUDIO = """
import sys
from pathlib import Path
from typing import Any
from app.accounts import Accounts
from app.cli.serve import serve
from app.runner import listen
from tests.serving import make_studio, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

settings = settings_in(Path(sys.argv[2]), port=int(sys.argv[1]))
studio = make_studio(settings, BlobEngine(), EchoSpeech())
sys.exit(serve(studio, Accounts(), listen("127.0.0.1", settings.port), lambda: print("started", flush=True)))
"""
BODY: dict[str, Any] = {"prompt": "a red square", "width": 512, "height": 512, "seed": 7}


def plain() -> list[float]:
    """Seconds of each picture without the studio."""
    engine, times = BlobEngine(), []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        result = engine.generate(ImageRequest(**BODY), None, lambda _: None, threading.Event())
        base64.b64encode(encode_png(result.images[0].image, result.images[0].recipe))
        times.append(time.perf_counter() - began)
    return times


def served(folder: Path, stored: int) -> dict[str, float]:
    """Milliseconds of a call with so many jobs stored, medians; and of opening such a data folder."""
    with process_of(STUDIO, str(folder)) as (_, url), httpx.Client(base_url=url, timeout=60) as http:
        for _ in range(10):
            http.post("/generate", json=BODY).raise_for_status()
        _multiply(folder / "jobs.db", stored)
        job_id = _some_job(folder)
        found = {
            "generate": _median(lambda: http.post("/generate", json=BODY)),
            "read_job": _median(lambda: http.get(f"/jobs/{job_id}")),
        }
    began = time.perf_counter()
    make_studio(settings_in(folder), BlobEngine(), EchoSpeech()).close()
    return {**found, "open_folder": round(1000 * (time.perf_counter() - began), 2)}


def _multiply(database: Path, wanted: int) -> None:
    """Copy the stored jobs until there are so many."""
    db = sqlite3.connect(database, timeout=30)
    columns = [row[1] for row in db.execute("PRAGMA table_info(jobs)") if row[1] not in ("number", "id")]
    names = ", ".join(columns)
    while (have := db.execute("SELECT count(*) FROM jobs").fetchone()[0]) < wanted:
        db.execute(
            f"INSERT INTO jobs (id, {names}) SELECT lower(hex(randomblob(10))), {names} FROM jobs LIMIT ?",
            (wanted - have,),
        )
    db.commit()
    db.close()


def _some_job(folder: Path) -> str:
    db = sqlite3.connect(folder / "jobs.db")
    (job_id,) = db.execute("SELECT id FROM jobs ORDER BY number LIMIT 1").fetchone()
    db.close()
    return str(job_id)


def _median(call: Callable[[], httpx.Response]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call().raise_for_status()
        times.append(time.perf_counter() - began)
    return round(1000 * statistics.median(times), 2)


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    bare = round(1000 * statistics.median(plain()), 2)
    found = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            found[str(size)] = served(Path(folder), size)
    first, last = found[str(SIZES[0])], found[str(SIZES[-1])]
    report(
        "jobs",
        {
            "plain_ms": bare,
            "stored": found,
            "overhead_ms": round(last["generate"] - bare, 2),
            "times_the_plain_call": round(last["generate"] / bare, 2),
            "growth": {name: round(last[name] / first[name], 2) for name in first},
        },
    )


if __name__ == "__main__":
    main()
