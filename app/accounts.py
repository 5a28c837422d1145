"""Who may call: accounts, and the tokens that point to them.

Work belongs to an account, not to a token's value, so that a token can be replaced. Tokens come from `launch.py token`
(see app.tokens) and from STUDIO_API_TOKENS, and share the accounts' names. An entry of the latter is `name=token`, or a
bare token, which is an account of its own, and has all scopes. Several may have one name: that is how a token is
rotated.

Where the first `=` stands decides how an entry is read: at its end it is the padding of a bare base64 token, anywhere
else it ends a name. So a bare token cannot have one in the middle.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.scopes import ALL, Scope
from app.tokens import Token, Tokens, TokensUnusable, digest_of

log = logging.getLogger(__name__)

LOCAL = "local"
"""The account of all work where there are no tokens, which is allowed on this machine only."""

MIN_TOKEN_LENGTH = 16
NAME = r"[a-z][a-z0-9_-]{0,31}"
TOKEN = rf"[\x21-\x7e]{{{MIN_TOKEN_LENGTH},}}"


NOTE_SECONDS = 60.0
"""How often it is written down, at most, when a token was used last."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `token_id` names the token without telling anything of its text; empty where none is asked."""

    account: str
    scopes: frozenset[Scope] = ALL
    token_id: str = ""


class Accounts:
    """The accounts behind the entries of STUDIO_API_TOKENS and the tokens of a data folder. Only digests are kept.

    Nothing but `refresh` waits for the disk.
    """

    def __init__(
        self, entries: Iterable[str] = (), tokens: Tokens | None = None, now: Callable[[], float] = time.time
    ) -> None:
        """Raises ValueError, without the token in its text, for an unusable entry and for one token of two accounts;
        TokensUnusable."""
        self._accounts: dict[bytes, str] = {}
        self.renamed: dict[str, str] = {}
        """What the account of a token was called before the token had a name -> what it is called now."""
        for entry in entries:
            name, token = read_entry(entry)
            digest = digest_of(token.encode())
            bare = f"token-{digest.hex()[:12]}"
            account = name or bare
            if self._accounts.setdefault(digest, account) != account:
                raise ValueError(f"one token cannot belong to two accounts, {account} and {self._accounts[digest]}")
            if name:
                self.renamed[bare] = name
        self._tokens = tokens
        self._now = now
        self._made: dict[bytes, Token] = {}
        self._used: dict[str, float] = {}
        self._problem = ""
        self._open = not self._accounts
        if tokens is not None:
            self._take(tokens.all())

    @property
    def entry_names(self) -> frozenset[str]:
        """The accounts of STUDIO_API_TOKENS."""
        return frozenset(self._accounts.values())

    @property
    def open(self) -> bool:
        """Whether nobody has to show a token, because there never was one. Once there was, revoking the last, or losing
        the file, lets nobody in."""
        return self._open

    def find(self, token: bytes | None) -> Caller | None:
        """Whose token this is; None refuses the caller. `token` None: the caller showed none."""
        if self._open:
            return Caller(LOCAL)
        if token is None:
            return None
        digest = digest_of(token)
        # What people make up themselves is compared whole and in constant time, all of it: how long that takes tells
        # nothing about a token, nor which one matched. Of random ones, nobody gets nearer to one by its digest.
        found = [known for known in self._accounts if hmac.compare_digest(digest, known)]
        if found:
            return self._entry(found[0])
        return self._usable(self._made.get(digest))

    def by_id(self, token_id: str) -> Caller | None:
        """The caller whose token has this id, as long as that token is good."""
        for digest in self._accounts:
            if self._entry(digest).token_id == token_id:
                return self._entry(digest)
        return self._usable(next((token for token in self._made.values() if token.id == token_id), None))

    def refresh(self) -> None:
        """See what was created and revoked meanwhile, and write down what was used. To be called every half second or
        so, off the event loop. Raises nothing: while the file cannot be read, what was known stays."""
        if self._tokens is None:
            return
        try:
            known = self._tokens.all()
            used = dict(self._used)
            last = {token.id: token.last_used_at or 0.0 for token in known}
            due = {token_id: at for token_id, at in used.items() if at - last.get(token_id, at) >= NOTE_SECONDS}
            self._take(known)
            if due:
                self._tokens.note_used(due)
            self._problem = ""
        except TokensUnusable as problem:
            if str(problem) != self._problem:
                log.error("%s", problem)
            self._problem = str(problem)

    def _take(self, known: list[Token]) -> None:
        self._made = {token.digest: token for token in known}
        self._open = self._open and not known

    def _entry(self, digest: bytes) -> Caller:
        return Caller(self._accounts[digest], token_id=f"env-{digest.hex()[:32]}")

    def _usable(self, token: Token | None) -> Caller | None:
        if token is None or not token.usable(self._now()):
            return None
        self._used[token.id] = self._now()
        return Caller(token.account, token.scopes, token.id)


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
