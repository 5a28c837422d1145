"""The tokens that `launch.py token` makes: tokens.db in the data folder.

A database of their own and not a table among the jobs, because a terminal writes it while a studio runs: neither is to
wait for the other's locks, and a backup of jobs that is put back must not bring revoked tokens back.

A token is 256 random bits, of which the plain SHA-256 is kept. Salts and slow hashes are for what people make up and
others have in lists; nobody tries 2^256 tokens, and a plain digest can be looked up.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.scopes import Scope
from engines.errors import StudioError

FILE = "tokens.db"
TOKEN_BYTES = 32
PREFIX = "studio_"
"""By which a scanner for secrets, or a person, knows what it has found."""

BUSY_SECONDS = 5.0
VERSION = 1
SCHEMA = """
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL,
    revoked_at REAL,
    last_used_at REAL
) STRICT
"""


class TokensUnusable(StudioError):
    """tokens.db cannot be read or written; the text is for whoever runs the studio."""

    code = "storage_failed"
    status = 503


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. Times are seconds since the epoch."""

    id: str
    account: str
    digest: bytes
    scopes: frozenset[Scope]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None

    def usable(self, now: float) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def digest_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


class Tokens:
    """The tokens of a data folder. Every method opens the file and may wait for the disk; all raise TokensUnusable."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE
        self._now = now

    def all(self) -> list[Token]:
        """In the order in which they were made; those that are revoked too."""
        if not self._path.exists():
            return []
        with self._opened() as db:
            return [_token(row) for row in db.execute("SELECT * FROM tokens ORDER BY created_at, id")]

    def create(self, account: str, scopes: frozenset[Scope], expires_at: float | None = None) -> tuple[Token, str]:
        """A new token, and its text, which nobody can read again."""
        text = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        token = Token(secrets.token_hex(4), account, digest_of(text.encode()), scopes, self._now(), expires_at)
        values = (token.id, account, token.digest, " ".join(sorted(scopes)), token.created_at, expires_at)
        with self._opened() as db:
            db.execute(
                "INSERT INTO tokens (id, account, digest, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
        return token, text

    def revoke(self, wanted: str) -> list[Token]:
        """End the token that has this id, or all of the account that has this name. Returns those that it ended."""
        if not self._path.exists():
            return []
        with self._opened() as db:
            field = "id" if db.execute("SELECT 1 FROM tokens WHERE id = ?", (wanted,)).fetchone() else "account"
            rows = db.execute(
                f"UPDATE tokens SET revoked_at = ? WHERE {field} = ? AND revoked_at IS NULL RETURNING *",
                (self._now(), wanted),
            )
            return [_token(row) for row in rows.fetchall()]

    def note_used(self, used: Mapping[str, float]) -> None:
        """Id -> when it was used last."""
        with self._opened() as db:
            db.executemany("UPDATE tokens SET last_used_at = ? WHERE id = ?", [(at, id_) for id_, at in used.items()])

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """One transaction on the file, which is made if it is not there."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # By us and not by SQLite, which would let other users read it.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as db, db:
                db.row_factory = sqlite3.Row
                (version,) = db.execute("PRAGMA user_version").fetchone()
                if version > VERSION:
                    raise TokensUnusable(f"{self._path} was made by a later version of the studio. Start that one.")
                if version < VERSION:
                    self._begin(db)
                yield db
        except OSError as error:
            raise TokensUnusable(
                f"{self._path}, which holds the tokens, cannot be opened ({error.strerror}). Do this as the owner of "
                "the data folder."
            ) from error
        except sqlite3.Error as error:
            raise TokensUnusable(
                f"{self._path}, which holds the tokens, cannot be used ({error}). Free disk space if that is full, "
                "close the program that holds it, or restore it from a backup."
            ) from error

    def _begin(self, db: sqlite3.Connection) -> None:
        # Two may do so at once: who comes second finds it made.
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            db.execute(SCHEMA)
            db.execute(f"PRAGMA user_version={VERSION}")
        db.commit()


def _token(row: sqlite3.Row) -> Token:
    scopes = frozenset(Scope(name) for name in row["scopes"].split())
    return Token(**{**dict(row), "scopes": scopes})
