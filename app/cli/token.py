"""`python3 launch.py token`: who may call. It works while the studio runs, which sees a change within a second."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from app.accounts import NAME, Accounts
from app.scopes import Scope
from app.settings.fields import DataSettings
from app.tokens import Token, Tokens, TokensUnusable

DONE, FAILED, MISUSED = 0, 1, 2
"""Exit codes."""

SECONDS = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
MAX_SECONDS = 100 * 366 * 24 * 3600
WORK = (Scope.IMAGES, Scope.SPEECH)


def main(argv: Sequence[str], settings: DataSettings) -> int:
    """Run one command on the tokens of the settings' data folder."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or has shown the help
        return MISUSED if stop.code else DONE
    tokens = Tokens(settings.data_dir)
    try:
        if options.command == "create":
            return _create(tokens, options.name, options.scopes, options.expires)
        if options.command == "revoke":
            return _revoke(tokens, Accounts(settings.tokens), options.wanted)
        return _list(tokens, Accounts(settings.tokens))
    except TokensUnusable as error:
        return _fail(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py token", description="Who may call.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("list", help="every token: whose, for what, used when, until when (also without the word)")
    create = commands.add_parser("create", help="make a token; it is shown this once")
    create.add_argument("name", type=_name, help="the account, to which jobs and files belong; it may have several")
    create.add_argument(
        "--scopes",
        type=_scopes,
        default=frozenset(WORK),
        help="images, speech, admin (metrics, deliveries and everything else), separated by commas; "
        f"default: {','.join(WORK)}",
    )
    create.add_argument("--expires", type=_seconds, metavar="TIME", help="e.g. 12h, 90d or 52w; default: never")
    revoke = commands.add_parser("revoke", help="end a token, or all of an account, within a second")
    revoke.add_argument("wanted", metavar="NAME-or-ID", help="as `list` shows them")
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: a lower-case letter and up to 31 more, digits, _ and -")
    return text


def _scopes(text: str) -> frozenset[Scope]:
    names = {name.strip() for name in text.split(",")}
    if not names <= set(Scope):
        raise argparse.ArgumentTypeError(f"{text!r} are no scopes: {', '.join(Scope)}, separated by commas")
    return frozenset(Scope(name) for name in names)


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([1-9]\d{0,8})([hdw])", text)
    seconds = int(match[1]) * SECONDS[match[2]] if match else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: hours, days or weeks, as in 12h, 90d or 52w")
    return seconds


def _create(tokens: Tokens, name: str, scopes: frozenset[Scope], lasts: int | None) -> int:
    token, text = tokens.create(name, scopes, None if lasts is None else time.time() + lasts)
    # Apart from the words about it, so that a script can take it: TOKEN=$(python3 launch.py token create web)
    print(text)
    until = "never expires" if token.expires_at is None else f"expires {_when(token.expires_at)}"
    return _tell(
        f"This token of {name} (id {token.id}; {_listed(scopes)}; {until}) is shown this once. Send it as "
        "Authorization: Bearer TOKEN, or log in with it on the page."
    )


def _revoke(tokens: Tokens, fixed: Accounts, wanted: str) -> int:
    ended = tokens.revoke(wanted)
    for token in ended:
        print(f"Revoked {token.id} of {token.account}.")
    if wanted in fixed.entry_names:
        return _fail(f"{wanted} has a token in STUDIO_API_TOKENS as well: take it out there, and restart the studio.")
    if not ended:
        return _fail(f"There is no token in use with the id or name {wanted!r}. `token list` shows them.")
    known = tokens.all()
    if not fixed.entry_names and not any(token.usable(time.time()) for token in known):
        return _tell("No token is left, so nobody may call until there is one: token create NAME.")
    return DONE


def _list(tokens: Tokens, fixed: Accounts) -> int:
    now = time.time()
    rows = [("ID", "NAME", "SCOPES", "CREATED", "LAST USED", "EXPIRES", "STATE")]
    for token in tokens.all():
        used = "never" if token.last_used_at is None else _when(token.last_used_at)
        until = "never" if token.expires_at is None else _when(token.expires_at)
        about = (token.id, token.account, _listed(token.scopes))
        rows.append((*about, _when(token.created_at), used, until, _state(token, now)))
    for name in sorted(fixed.entry_names):
        rows.append(("-", name, _listed(frozenset(Scope)), "-", "-", "never", "in STUDIO_API_TOKENS"))
    if len(rows) == 1:
        return _tell("There are no tokens: only this machine is answered, and everybody on it. token create NAME.")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return DONE


def _state(token: Token, now: float) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "in use" if token.usable(now) else "expired"


def _listed(scopes: frozenset[Scope]) -> str:
    return ",".join(scope for scope in Scope if scope in scopes)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _tell(text: str) -> int:
    print(text, file=sys.stderr)
    return DONE


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return FAILED
