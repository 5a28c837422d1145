"""`launch.py test` after the set-up: lint, types, tests, in that order, all of them whatever fails.

pytest comes last because CI reads its closing lines. The first half runs before anything is installed, so this file
uses the standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / "tests" / "system-packages.txt"
SIDE_BY_SIDE = ("--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder")
"""Most of the time a test waits for a server that starts on one core; a file's tests share theirs, so they stay
together. Files begin in the order that tests/conftest.py gives them."""

ONCE_MORE = ("--reruns=1", "-rfER")
"""Where a machine is shared with others, as CI's are, a browser or a process is now and then too late. What fails twice
has failed; what passes at the second try is listed at the end."""

CHECKED = ("app", "engines", "launch.py", "training", "bench", "tests")


def have_system_packages(extra: Sequence[str] = ()) -> None:
    """Install the Debian packages that the tests need; where that is not possible, say which and stop."""
    wanted = [*_wanted(PACKAGES.read_text()), *extra]
    if shutil.which("dpkg-query") is None:
        _say(f"Not a Debian system: make sure of these yourself, or their tests fail: {', '.join(wanted)}")
        return
    missing = [package for package in wanted if not _installed(package)]
    if not missing:
        return
    install = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"The tests need Debian packages that are missing: {', '.join(missing)}. Type: sudo {install}")
    _say(f"Installing Debian packages for the tests: {', '.join(missing)}")
    for command in ("apt-get update", install):
        done = subprocess.run(
            command.split(),
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\n`{command}` failed (above is what it said). The tests need {', '.join(missing)}.")


def _wanted(text: str) -> list[str]:
    """The packages of a list with a package a line. After `command:` come packages that bring a command which may be
    here from elsewhere; they are wanted only where it is not."""
    wanted: list[str] = []
    for line in text.splitlines():
        command, colon, packages = line.partition("#")[0].rpartition(":")
        if not colon or shutil.which(command.strip()) is None:
            wanted += packages.split()
    return wanted


def _installed(package: str) -> bool:
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


def main(pytest_args: Sequence[str]) -> int:
    """0 if everything passed."""
    checked = [name for name in CHECKED if (ROOT / name).exists()]
    steps = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy", *checked],
        "pytest": ["pytest", *SIDE_BY_SIDE, *(ONCE_MORE if os.environ.get("CI") else ()), *pytest_args],
    }
    failed = []
    for name, arguments in steps.items():
        _say(f"== {name}")
        if subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, check=False).returncode != 0:
            failed.append(name)
    if failed:
        _say(f"Failed: {', '.join(failed)}")
    return 1 if failed else 0


def _say(line: str) -> None:
    print(line, flush=True)
