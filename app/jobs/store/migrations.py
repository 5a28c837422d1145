"""The database's form, as numbered steps: MIGRATIONS[n] takes version n to version n + 1, in one transaction.

A step that has been released is never changed. It uses nothing of today's code, which will be another's tomorrow.
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

VERSION_1 = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    device TEXT NOT NULL,
    account TEXT NOT NULL,
    user TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0,
    turn INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    earlier_attempts INTEGER NOT NULL DEFAULT 0, -- before its sender asked for it again
    request TEXT NOT NULL,
    work TEXT NOT NULL,
    warnings TEXT NOT NULL DEFAULT '[]',
    idempotency_key TEXT,
    request_hash TEXT, -- NULL: of an earlier version, which hashed otherwise
    created_at REAL NOT NULL,
    deadline REAL,
    started_at REAL,
    finished_at REAL,
    result TEXT,
    error TEXT
) STRICT;
CREATE UNIQUE INDEX jobs_by_key ON jobs (account, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_recent ON jobs (account, kind, number) WHERE state = 'succeeded';
CREATE INDEX jobs_unfinished ON jobs (device, state, priority, turn, number) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE files (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    input INTEGER NOT NULL, -- 1: what the job needs to run; 0: of its result
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;
CREATE INDEX files_by_job ON files (job_id);
CREATE INDEX files_by_content ON files (sha256);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL
) STRICT;
CREATE INDEX events_by_job ON events (job_id, id);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    deliverer TEXT NOT NULL,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    attempt INTEGER NOT NULL,
    due_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    problem TEXT
) STRICT;
CREATE INDEX outbox_due ON outbox (deliverer, due_at);
CREATE INDEX outbox_by_job ON outbox (job_id);
"""

HERO_PRESETS_OF_VERSION_0 = frozenset(
    (
        "aurora",
        "autumn-forest",
        "calm-sea",
        "city-night",
        "cosy-workspace",
        "deep-space",
        "desert-dunes",
        "festival-lights",
        "flat-landscape",
        "food-market",
        "forest-mist",
        "minimal-gradient",
        "mountain-sunrise",
        "rolling-hills",
        "sunset-beach",
        "synthwave",
        "tech-abstract",
    )
)
STATUS_OF_VERSION_0 = {
    "invalid_request": 422,
    "invalid_media": 422,
    "cancelled": 499,
    "model_missing": 503,
    "model_invalid": 503,
    "out_of_memory": 503,
    "download_failed": 502,
    "service_unavailable": 503,
    "interrupted": 503,
    "storage_failed": 503,
}


def begin(db: sqlite3.Connection, folder: Path) -> None:
    """Version 1: jobs as data. What version 0 had is kept, and its result files get their content's names."""
    old = []
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'jobs'").fetchone():
        old = db.execute("SELECT * FROM jobs ORDER BY created_at").fetchall()
        db.execute("DROP TABLE jobs")
    for statement in VERSION_1.split(";\n"):
        db.execute(statement)
    for row in old:
        _carry_over(db, folder, dict(row))


def _carry_over(db: sqlite3.Connection, folder: Path, old: dict[str, Any]) -> None:
    request = json.loads(old["request"])
    result = None if old["result"] is None else json.loads(old["result"])
    error = None if old["error"] is None else json.loads(old["error"])
    ended = old["state"] in ("succeeded", "failed", "cancelled")
    if not ended:
        # Its upload went with the process that had it, so it cannot be run.
        error = {"type": "interrupted", "message": "The studio stopped before this job finished. Send it again."}
    state = old["state"] if ended else "failed"
    if error is not None:
        error = {
            "type": error["type"],
            "message": error["message"],
            "field": error.get("field"),
            "status": STATUS_OF_VERSION_0.get(error["type"], 500),
            "retry_after": None,
        }
    if old["kind"] == "image":
        kind, sent, work, made = _image(request, result)
    else:
        kind, sent, work, made = _speech(request, result)
    values = {
        "id": old["id"],
        "kind": kind,
        "device": old["kind"],
        "account": old["owner"],
        "state": state,
        "attempt": 0 if old["started_at"] is None else 1,
        "request": json.dumps(sent),
        "work": json.dumps(work),
        # Of jobs without a result version 0 let the key go as soon as it was used again.
        "idempotency_key": old["idempotency_key"] if state == "succeeded" else None,
        "created_at": old["created_at"],
        "started_at": old["started_at"],
        "finished_at": old["finished_at"] or old["created_at"],
        "result": None if made is None else json.dumps(made),
        "error": None if error is None else json.dumps(error),
    }
    db.execute(
        f"INSERT INTO jobs ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
    )
    db.execute(
        "INSERT INTO events (job_id, state, attempt, at) VALUES (?, ?, ?, ?)",
        (old["id"], state, values["attempt"], values["finished_at"]),
    )
    for file in json.loads(old["files"]):
        _rename(folder / "files", old["id"], file["name"], file["sha256"])
        db.execute(
            "INSERT INTO files (id, job_id, input, name, media_type, size, sha256) VALUES (?, ?, 0, ?, ?, ?, ?)",
            (file["id"], old["id"], file["name"], file["media_type"], file["size"], file["sha256"]),
        )


def _image(request: dict[str, Any], result: dict[str, Any] | None) -> tuple[str, Any, Any, Any]:
    preset, strength = request["preset"], request.get("strength", 0.6)
    wide = request["width"] > request["height"]
    kind = "hero" if preset in HERO_PRESETS_OF_VERSION_0 or (preset is None and wide) else "avatar"
    settings = {
        name: request[name]
        for name in ("prompt", "negative_prompt", "width", "height", "num_inference_steps", "guidance_scale", "sampler")
    }
    settings["count"] = request["count"]
    first = request["seed"] if result is None else result["images"][0]["seed"]
    seed = first if isinstance(first, int) and first >= 0 else 0
    with_photo = request.get("init_image_sha256") is not None
    work = {**settings, "seed": seed, "photo_sha256": request.get("init_image_sha256"), "photo_strength": strength}
    # The preset's words are in the prompt already.
    sent = {**settings, "preset": "none", "seed": seed}
    if with_photo and kind == "avatar":
        sent |= {"photo_sha256": request["init_image_sha256"], "photo_strength": strength}
    if result is not None:
        for image in result["images"]:
            recipe = image["recipe"]
            recipe["photo_sha256"] = recipe.pop("init_image_sha256", None)
            recipe["photo_strength"] = recipe.pop("strength", None)
    return kind, sent, work, result


def _speech(request: dict[str, Any], result: dict[str, Any] | None) -> tuple[str, Any, Any, Any]:
    work = {"filename": request.get("filename") or "", "language": request.get("language") or None}
    return "transcription", {**work, "audio_sha256": request.get("sha256")}, work, result


def _rename(files: Path, job_id: str, name: str, sha256: str) -> None:
    """To its content's name. A step that was broken off finds it there already."""
    old, new = files / job_id[:2] / job_id / name, files / sha256[:2] / sha256
    if old.is_file():
        new.parent.mkdir(mode=0o700, exist_ok=True)
        old.replace(new)
        if not any(old.parent.iterdir()):
            old.parent.rmdir()


VERSION_2 = """
ALTER TABLE jobs ADD COLUMN webhook TEXT;
ALTER TABLE jobs ADD COLUMN webhook_events TEXT NOT NULL DEFAULT '[]';
ALTER TABLE jobs ADD COLUMN webhook_base_url TEXT NOT NULL DEFAULT '';
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    deliverer TEXT NOT NULL,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    state TEXT NOT NULL, -- of the job, to be told
    attempt INTEGER NOT NULL,
    at REAL NOT NULL, -- when the job came to that state
    error TEXT, -- of the job then
    ordered_by TEXT NOT NULL, -- entries of a deliverer with the same arrive one after another
    unsure INTEGER NOT NULL DEFAULT 0, -- 1: the deliverer could not tell whether it wants it
    waiting_since REAL NOT NULL,
    due_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    failed_at REAL,
    problem TEXT, -- of the last try
    dead_at REAL -- NULL: is still tried
) STRICT;
INSERT INTO entries
    (id, deliverer, job_id, state, attempt, at, error, ordered_by, waiting_since, due_at, tries, problem)
    SELECT outbox.id, deliverer, job_id, jobs.state, outbox.attempt, coalesce(jobs.finished_at, due_at), jobs.error,
        job_id, due_at, due_at, tries, problem
    FROM outbox JOIN jobs ON jobs.id = job_id;
DROP TABLE outbox;
ALTER TABLE entries RENAME TO outbox;
CREATE INDEX outbox_due ON outbox (deliverer, due_at, id) WHERE dead_at IS NULL;
CREATE INDEX outbox_order ON outbox (deliverer, ordered_by, id) WHERE dead_at IS NULL;
CREATE INDEX outbox_by_job ON outbox (job_id);
CREATE TABLE gone_webhooks (
    account TEXT NOT NULL,
    address TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (account, address)
) STRICT;
"""


def deliver(db: sqlite3.Connection, folder: Path) -> None:  # noqa: ARG001 - every step's signature
    """Version 2: jobs have webhooks, and the outbox has all that its senders note."""
    for statement in VERSION_2.split(";\n"):
        db.execute(statement)


VERSION_3 = """
CREATE TABLE edits (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    revision INTEGER NOT NULL, -- grows with each edit
    at REAL NOT NULL,
    content TEXT -- NULL: it was taken back
) STRICT
"""

CORRECTION_LISTS = """
CREATE TABLE correction_lists (
    account TEXT PRIMARY KEY,
    content TEXT NOT NULL -- JSON: heard, written, match_case of each
) STRICT
"""


def edit(db: sqlite3.Connection, folder: Path) -> None:  # noqa: ARG001 - every step's signature
    """Version 3: what people make of results lies beside them."""
    db.execute(VERSION_3)


def correct(db: sqlite3.Connection, folder: Path) -> None:  # noqa: ARG001 - every step's signature
    """Version 4: accounts have lists of what their transcripts should spell otherwise."""
    db.execute(CORRECTION_LISTS)


VERSION_5 = """
CREATE TABLE library (
    number INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
    job_id TEXT NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    preset TEXT NOT NULL,
    model TEXT NOT NULL,
    favourite INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    card TEXT NOT NULL -- JSON: what a list shows
) STRICT;
CREATE INDEX library_by_account ON library (account, number, kind, preset, model, favourite);
CREATE VIRTUAL TABLE library_words USING fts5 (
    words,
    columnsize = 0,
    prefix = '1 2',
    tokenize = 'unicode61 remove_diacritics 2'
);
"""

# Whatever deletes a job deletes its words: the cascade above fires this.
WORDS_GO_TOO = """
CREATE TRIGGER library_words_gone AFTER DELETE ON library
    BEGIN DELETE FROM library_words WHERE rowid = old.number; END
"""

WITHOUT_GAPS_IN_VERSION_5 = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff])"
)
"""Characters that are words of their own in `library_words`; see app/jobs/store/words.py."""


def list_all(db: sqlite3.Connection, folder: Path) -> None:  # noqa: ARG001 - every step's signature
    """Version 5: what was made is listed and searched; what was made before as well."""
    for statement in VERSION_5.split(";\n"):
        db.execute(statement)
    db.execute(WORDS_GO_TOO)
    rows = db.execute(
        "SELECT number, id, account, kind, request, work, result, created_at, edits.content FROM jobs"
        " LEFT JOIN edits ON edits.job_id = jobs.id WHERE state = 'succeeded' AND result IS NOT NULL"
    )
    for row in rows:
        request, work, result = (json.loads(row[name]) for name in ("request", "work", "result"))
        if row["kind"] in ("avatar", "hero", "image"):
            preset, model, card, words = _listed_pictures(request, work, result)
        elif row["kind"] in ("transcription", "live"):
            edited = None if row["content"] is None else json.loads(row["content"])
            preset, model, card, words = _listed_transcript(request, work, result, edited)
        else:
            continue
        db.execute(
            "INSERT INTO library (number, job_id, account, kind, preset, model, created_at, card)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row["number"], row["id"], row["account"], row["kind"], preset, model, row["created_at"], json.dumps(card)),
        )
        spaced = WITHOUT_GAPS_IN_VERSION_5.sub(r" \1 ", unicodedata.normalize("NFKC", words))
        db.execute("INSERT INTO library_words (rowid, words) VALUES (?, ?)", (row["number"], spaced))


def _listed_pictures(request: Any, work: Any, result: Any) -> tuple[str, str, Any, str]:
    said = [request.get(name) or "" for name in ("prompt", "title", "summary")]
    preset = work.get("preset") or ""
    images = [{name: image[name] for name in ("file_id", "width", "height", "seed")} for image in result["images"]]
    card = {"words": " ".join(next(filter(str.strip, said), "").split())[:200], "images": images}
    return preset, result["model"], card, "\n".join([*said, preset])


def _listed_transcript(request: Any, work: Any, result: Any, edited: Any) -> tuple[str, str, Any, str]:
    filename = request.get("filename") or work.get("filename") or ""
    text = result["text"] if edited is None else "\n".join(segment["text"] for segment in edited["segments"])
    card = {
        "filename": filename,
        "beginning": " ".join(text[:600].split())[:200],
        "language": result["language"],
        "duration": result["duration"],
    }
    return "", result["engine"], card, f"{filename}\n{text}"


MIGRATIONS: tuple[Callable[[sqlite3.Connection, Path], None], ...] = (begin, deliver, edit, correct, list_all)
