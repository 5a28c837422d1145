"""Who may call: accounts, and the tokens that point to them.

Work belongs to an account, not to a token's value, so that a token can be replaced. An entry of STUDIO_API_TOKENS is
`name=token`, or a bare token, which is an account of its own. Several entries may have one name: that is how a token is
rotated.

Where the first `=` stands decides how an entry is read: at its end it is the padding of a bare base64 token, anywhere
else it ends a name. So a bare token cannot have one in the middle.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable

LOCAL = "local"
"""The account of all work where there are no tokens, which is allowed on this machine only."""

MIN_TOKEN_LENGTH = 16
NAME = r"[a-z][a-z0-9_-]{0,31}"
TOKEN = rf"[\x21-\x7e]{{{MIN_TOKEN_LENGTH},}}"


class Accounts:
    """The accounts behind the entries of STUDIO_API_TOKENS. Only digests of the tokens are kept."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """Raises ValueError, without the token in its text, for an unusable entry and for one token of two accounts."""
        self._accounts: dict[bytes, str] = {}
        self.renamed: dict[str, str] = {}
        """What the account of a token was called before the token had a name -> what it is called now."""
        for entry in entries:
            name, token = read_entry(entry)
            digest = _digest(token.encode())
            bare = f"token-{digest.hex()[:12]}"
            account = name or bare
            if self._accounts.setdefault(digest, account) != account:
                raise ValueError(f"one token cannot belong to two accounts, {account} and {self._accounts[digest]}")
            if name:
                self.renamed[bare] = name
        self.names = frozenset(self._accounts.values()) or frozenset({LOCAL})

    def find(self, token: bytes | None) -> str | None:
        """Whose token this is; None refuses the caller. `token` None: the caller showed none."""
        if not self._accounts:
            return LOCAL
        if token is None:
            return None
        digest = _digest(token)
        # All are compared, each in constant time: how long it takes tells nothing about a token, nor which one matched.
        found = [account for known, account in self._accounts.items() if hmac.compare_digest(digest, known)]
        return found[0] if found else None


def read_entry(entry: str) -> tuple[str | None, str]:
    """The name, None for a bare token, and the token of `entry`. Raises ValueError, without the token in its text."""
    name, token = None, entry
    if "=" in entry.rstrip("="):
        name, _, token = entry.partition("=")
        if not re.fullmatch(NAME, name):
            raise ValueError("what stands before = is no name of an account")
    if not re.fullmatch(TOKEN, token):
        raise ValueError("a token is too short, or has a space or another character than printable ASCII")
    return name, token


def _digest(token: bytes) -> bytes:
    """Equal lengths for all tokens, so that comparing tells nothing about theirs either."""
    return hashlib.sha256(token).digest()
