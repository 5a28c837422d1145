"""How long the library takes with 10,000 things made: pages, searches and marks, over HTTP and in the database.

The same searches without the index are run beside it: SQLite's LIKE over what was made, newest first, with the same
filters and the same page. Every tenth thing is a transcript of 1,500 words, the others are pictures; one word in all
is rare, one common.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.jobs.store.library import LibraryRows, Search
from app.jobs.store.words import indexed
from app.work.image import PlainKind
from app.work.speech import TranscriptionKind
from bench.jobs import BODY, STUDIO
from bench.report import report
from tests.serving import process_of
from tests.small_engines import BlobEngine, EchoSpeech

MADE = 10_000
ROUNDS = 30
PLAIN_ROUNDS = 5
PAGE = 48
TRANSCRIPT_WORDS = 1_500
PRESETS = ("anime", "watercolour", "cinematic", "pixel-art")
RARE, COMMON = "quetzal", "lantern"
SEARCHES: dict[str, dict[str, Any]] = {
    "first_page": {},
    "rare_word": {"q": RARE},
    "common_word": {"q": COMMON},
    "two_words": {"q": f"{COMMON} {RARE}"},
    "one_letter": {"q": "q"},
    "no_hit": {"q": "zzyzx"},
    "chinese": {"q": "北京"},
    "filtered": {"q": COMMON, "kind": "avatar", "preset": PRESETS[1]},
    "favourites": {"favourite": True},
}


def fill(folder: Path) -> list[str]:
    """Ten thousand rows as the studio writes them; their ids, the oldest first. Files are not read for a list."""
    rng = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(8_000)]
    ids = []
    with closing(sqlite3.connect(folder / "jobs.db", timeout=30)) as db:
        for number in range(MADE):
            spoken = number % 10 == 0
            words = rng.choices(vocabulary, k=TRANSCRIPT_WORDS if spoken else 20)
            words += (
                [COMMON] * (number % 3 == 0) + [RARE] * (number % 2_500 == 7) + ["我们在北京吃饭"] * (number % 50 == 0)
            )
            rng.shuffle(words)
            ids.append(_add(db, number, " ".join(words), spoken=spoken))
        db.commit()
    return ids


def _add(db: sqlite3.Connection, number: int, text: str, *, spoken: bool) -> str:
    job_id = f"{number:020x}"
    kind, preset = ("transcription", "") if spoken else ("avatar", PRESETS[number % len(PRESETS)])
    if spoken:
        card: dict[str, Any] = {"filename": "talk.wav", "beginning": text[:200], "language": "en", "duration": 600.0}
    else:
        image = {"file_id": f"{job_id}-1.png", "seed": number, "width": 1024, "height": 1024}
        card = {"words": text[:200], "images": [image]}
    cursor = db.execute(
        "INSERT INTO jobs (id, kind, device, account, state, attempt, request, work, created_at, finished_at, result)"
        " VALUES (?, ?, 'image', 'local', 'succeeded', 1, ?, '{}', ?, ?, '{}')",
        (job_id, kind, json.dumps({"prompt": text}), float(number), float(number)),
    )
    db.execute(
        "INSERT INTO library (number, job_id, account, kind, preset, model, favourite, created_at, card)"
        " VALUES (?, ?, 'local', ?, ?, 'sdxl', ?, ?, ?)",
        (cursor.lastrowid, job_id, kind, preset, number % 100 == 0, float(number), json.dumps(card)),
    )
    db.execute("INSERT INTO library_words (rowid, words) VALUES (?, ?)", (cursor.lastrowid, indexed(text)))
    return job_id


def plain(db: sqlite3.Connection, asked: dict[str, Any]) -> int:
    """The same page without the index: how many it has."""
    where, values = ["jobs.account = 'local'", "jobs.state = 'succeeded'"], []
    for word in asked.get("q", "").split():
        where.append("request LIKE ?")
        # As JSON has it.
        values.append(f"%{json.dumps(word)[1:-1]}%")
    for name in ("kind", "preset"):
        if name in asked:
            where.append(f"library.{name} = ?")
            values.append(asked[name])
    if asked.get("favourite"):
        where.append("favourite = 1")
    rows = db.execute(
        # From the newest down, and no further than the page is full.
        "SELECT library.* FROM jobs NOT INDEXED CROSS JOIN library ON library.number = jobs.number"
        f" WHERE {' AND '.join(where)} ORDER BY jobs.number DESC LIMIT {PAGE + 1}",
        values,
    ).fetchall()
    return len(rows)


def measured(call: Callable[[], object], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds: the median, and the worst of all rounds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return {"median": round(statistics.median(times), 2), "worst": round(max(times), 2)}


def over_http(url: str, path: str, method: str = "GET", **asked: Any) -> dict[str, Any]:
    """How many jobs such a call answers with, and how long it takes on a connection that stands."""
    with httpx.Client(base_url=url, timeout=60) as http:

        def call() -> httpx.Response:
            return http.request(method, path, params=asked).raise_for_status()

        hits = len(call().json().get("jobs", ()))
        return {"hits": hits, "http_ms": measured(call)}


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, process_of(STUDIO, folder) as (_, url):
        ids = fill(Path(folder))
        # For their cards, which are those of every kind of picture and of transcript.
        rows = LibraryRows({"avatar": PlainKind(BlobEngine()), "transcription": TranscriptionKind(EchoSpeech())})
        with closing(sqlite3.connect(Path(folder) / "jobs.db")) as db:
            db.row_factory = sqlite3.Row
            for name, asked in SEARCHES.items():
                found[name] = over_http(url, "/jobs", limit=PAGE, **asked)
                search = Search(
                    words=asked.get("q", ""),
                    kinds=(asked["kind"],) if "kind" in asked else (),
                    preset=asked.get("preset"),
                    favourite=asked.get("favourite", False),
                    limit=PAGE,
                )
                # Both in this process, on one connection.
                found[name]["index_ms"] = measured(lambda search=search: rows.search(db, "local", search, None))  # type: ignore[misc]
                found[name]["like_ms"] = measured(lambda asked=asked: plain(db, asked), PLAIN_ROUNDS)  # type: ignore[misc]
        found["last_page"] = over_http(url, "/jobs", limit=PAGE, before=ids[PAGE])
        made = httpx.post(f"{url}/generate", json=BODY, timeout=60).raise_for_status().json()["job_id"]
        found["mark"] = over_http(url, f"/jobs/{made}/favourite", "PUT")
        size = (Path(folder) / "jobs.db").stat().st_size
    worst = max(one["http_ms"]["worst"] for one in found.values())
    report(
        "library",
        {
            "made": MADE,
            "page": PAGE,
            "database_mb": round(size / 1e6, 1),
            "asked": found,
            "worst_http_ms": worst,
            # Without the index the whole table is read where a word is rare.
            "like_times_index": {
                name: round(one["like_ms"]["median"] / one["index_ms"]["median"], 2)
                for name, one in found.items()
                if "like_ms" in one
            },
        },
    )


if __name__ == "__main__":
    main()
