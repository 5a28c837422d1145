"""`python3 launch.py deliveries`: what could not be delivered, and to have it sent again. Works beside the studio."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from app.jobs.errors import StorageFailed
from app.jobs.store.database import Database
from app.jobs.store.dead_letters import DeadLetters

DONE, FAILED, MISUSED = 0, 1, 2
"""Exit codes."""


def main(argv: Sequence[str], data_dir: Path) -> int:
    """Run one command on the data folder."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or has shown the help
        return MISUSED if stop.code else DONE
    try:
        with closing(Database.beside_studio(data_dir)) as database:
            letters = DeadLetters(database)
            return _resend(letters, options.which) if options.command == "resend" else _list(letters)
    except StorageFailed as problem:
        print(problem, file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py deliveries", description="What waits to be delivered, and what died."
    )
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("list", help="what waits and what was given up, and why (also without the word)")
    resend = commands.add_parser("resend", help="try what was given up anew; a 410 address is called again")
    resend.add_argument("which", metavar="ID|all", type=_which, help="a number that `list` shows, or all")
    return parser


def _which(text: str) -> int | None:
    return None if text == "all" else int(text)


def _list(letters: DeadLetters) -> int:
    backlogs = letters.backlogs(time.time())
    for backlog in backlogs:
        oldest = f", the oldest for {backlog.oldest_seconds:.0f} s" if backlog.waiting else ""
        problem = f"; last problem: {backlog.problem}" if backlog.problem else ""
        print(f"{backlog.deliverer}: {backlog.waiting} waiting{oldest}, {backlog.dead} given up{problem}")
    for letter in letters.list():
        died = datetime.fromtimestamp(letter.died_at).strftime("%Y-%m-%d %H:%M")
        to = f" to {letter.receiver}" if letter.receiver else ""
        print(
            f"{letter.id}  {died}  {letter.deliverer}{to}: {letter.kind} job {letter.job_id} of {letter.account}, "
            f"{letter.state}, {letter.tries} tries: {letter.problem}"
        )
    if not backlogs:
        print("Everything has been delivered.")
    return DONE


def _resend(letters: DeadLetters, entry_id: int | None) -> int:
    count = letters.resend(entry_id, time.time())
    if entry_id is not None and not count:
        print(
            f"No delivery {entry_id} has been given up. `launch.py deliveries` lists those that have.", file=sys.stderr
        )
        return MISUSED
    print(f"{count} to be sent again: at once by a running studio, else after its next start.")
    return DONE
