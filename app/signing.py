"""Signatures of what this studio hands out and gets back: logins of browsers, links to files.

HMAC-SHA256 under one random key, which lies in the data folder: a restart changes nothing, and deleting the key ends
all logins and links at the next one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from app.jobs.errors import StorageFailed

FILE = "signing.key"
KEY_BYTES = 32


class Signer:
    """Signs lists of words for a purpose. A signature for one purpose is none for another."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, purpose: str, *words: str) -> str:
        """43 characters, fit for addresses and cookies."""
        # As JSON, so that no two lists read the same.
        digest = hmac.digest(self._key, json.dumps([purpose, *words]).encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def matches(self, signature: str, purpose: str, *words: str) -> bool:
        return hmac.compare_digest(signature.encode(), self.sign(purpose, *words).encode())


def read_key(folder: Path) -> bytes:
    """The data folder's key, made if it is not there. Raises StorageFailed."""
    path = folder / FILE
    try:
        # Its owner's eyes only, whatever the umask.
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
            key = file.read()
            # A crash may have left less than a key, with which nothing was signed yet.
            if len(key) != KEY_BYTES:
                key = secrets.token_bytes(KEY_BYTES)
                file.seek(0)
                file.truncate()
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            return key
    except OSError as error:
        raise StorageFailed(
            f"{path}, the key of logins and links, cannot be used ({error.strerror}). Start the studio as the owner of "
            "the data folder, with some disk space left."
        ) from error
