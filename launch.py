"""Carrot Studio's one entry point: `python3 launch.py` sets itself up on a fresh machine, then serves.

Everything in this file runs before anything is installed, so it and what it imports at the top use the standard
library only. It also has to parse on Python 3.6, so that a too old Python gets a sentence and no syntax error.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the one place that tells an old Python so
    sys.exit(
        f"Carrot Studio needs Python 3.11 or newer; {sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}. "
        "Install a newer one (Debian, Ubuntu: apt-get install python3.11 python3.11-venv) "
        "and start again with it: python3.11 launch.py"
    )

import fcntl
import hashlib
import os
import re
import runpy
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from app.cli import parse

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "carrot-studio.stamp"
LOCK = ROOT / ".venv.lock"
REQUIREMENTS = ("requirements.txt",)
TEST_REQUIREMENTS = (*REQUIREMENTS, "requirements-onnx.txt", "tests/requirements.txt", "docs/requirements.txt")

# What the speech service imports: its container carries these and no torch. tests/test_architecture.py keeps the list.
TRANSCRIBER_NEEDS = frozenset(
    {
        "av",
        "fastapi",
        "httpcore",
        "httpx",
        "numpy",
        "pillow",
        "prometheus_client",
        "pydantic-settings",
        "python-multipart",
        "tenacity",
        "uvicorn",
        "vosk",
        "websockets",
    }
)

# .venv measures 1.9 GB with the CPU build of torch; pip keeps up to 0.6 GB of downloads beside it while it works.
SPACE_NEEDED = 3_000_000_000
JUST_INSTALLED = "_CARROT_STUDIO_JUST_INSTALLED"
SILENCE_SECONDS = 5.0

NETWORK_TROUBLE = (
    "Retrying (",
    "ConnectionError",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "SSLError",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Network is unreachable",
)


def main(argv: list[str]) -> int:
    command = parse.parse(argv)
    if command.name == "test":
        return run_tests(command.rest)
    if command.name == "tunnel" or (command.name == "doctor" and not stamped(REQUIREMENTS)):
        return parse.run(command)  # On a laptop nothing is installed, and nothing has to be.
    be_set_up(REQUIREMENTS, TRANSCRIBER_NEEDS if command.name == "transcriber" else None)
    if command.name == "train-sketch":
        sys.argv[1:] = command.rest
        runpy.run_module("training.sketch", run_name="__main__", alter_sys=True)
        return 0
    return parse.run(command)


def run_tests(pytest_args: list[str]) -> int:
    from tests import check

    check.have_system_packages(extra=() if find_spec("ensurepip") else ("python3-venv",))
    be_set_up(TEST_REQUIREMENTS)
    return check.main(pytest_args)


def be_set_up(files: tuple[str, ...], only: frozenset[str] | None = None) -> None:
    """Return if the running environment meets the pins; otherwise start again in `.venv`, installed as needed."""
    just_installed = os.environ.pop(JUST_INSTALLED, None)
    missing = unmet(files, only)
    in_venv = Path(sys.prefix).resolve() == VENV.resolve()
    # An interrupted install can have every direct requirement and miss what those need: in .venv only the stamp tells.
    if not missing and (not in_venv or stamped(files)):
        return
    if just_installed:
        sys.exit(f"{VENV} was installed and still lacks {', '.join(missing)}. Delete that folder and start again.")
    if in_venv:
        STAMP.unlink(missing_ok=True)
    if not stamped(files):
        install(files)
        os.environ[JUST_INSTALLED] = "1"
    sys.stdout.flush()
    os.execv(VENV_PYTHON, [str(VENV_PYTHON), str(ROOT / "launch.py"), *sys.argv[1:]])


def unmet(files: tuple[str, ...], only: frozenset[str] | None) -> list[str]:
    """The pins, as `name==version`, that the running environment does not meet."""
    pins = [
        line for file in files for line in (ROOT / file).read_text().splitlines() if "==" in line and line[0] != "#"
    ]
    pairs = [pin.strip().split("==") for pin in pins]
    return [
        f"{name}=={pin}" for name, pin in pairs if (only is None or name in only) and installed_version(name) != pin
    ]


def installed_version(name: str) -> str:
    try:
        version: str | None = metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
    return (version or "").split("+")[0]  # torch's CPU build calls itself 2.13.0+cpu


def stamp_lines(files: tuple[str, ...]) -> list[str]:
    """What the stamp says of a whole install: which files, and for which Python (the system's may be replaced)."""
    digests = [f"{hashlib.sha256((ROOT / file).read_bytes()).hexdigest()} {file}" for file in files]
    return [os.path.realpath(VENV_PYTHON), *digests]


def stamped(files: tuple[str, ...]) -> bool:
    try:
        told = STAMP.read_text().splitlines()
    except FileNotFoundError:
        return False  # also where another start takes it away at this moment, to install
    return VENV_PYTHON.exists() and set(stamp_lines(files)) <= set(told)


def install(files: tuple[str, ...]) -> None:
    """Make `.venv` whole. The stamp goes first and comes back last: after any interruption the next start repairs."""
    signal.signal(signal.SIGTERM, stop_on_signal)
    with locked() as lock:
        if stamped(files):
            return  # another start did it while this one waited
        started = time.monotonic()
        check_space()
        STAMP.unlink(missing_ok=True)
        say(f"Completing {VENV}" if VENV.exists() else f"Setting up {VENV} (once; some minutes, about 2 GB)")
        make_venv()
        forget_half_installed()
        pip_install(files, lock)
        unfinished = STAMP.with_suffix(".tmp")
        unfinished.write_text("\n".join(stamp_lines(files)) + "\n")
        unfinished.replace(STAMP)
        say(f"Set up in {time.monotonic() - started:.0f} s.")


def stop_on_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


@contextmanager
def locked() -> Iterator[int]:
    """Hold the lock on `.venv`: of two starts at once, one installs and the other waits."""
    try:
        descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        sys.exit(f"Cannot write to {ROOT} ({error.strerror}), where .venv has to go. Make that folder writable.")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is setting up .venv; waiting for it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def check_space() -> None:
    free = shutil.disk_usage(ROOT).free
    if free >= SPACE_NEEDED:
        return
    have = sum(file.lstat().st_size for file in VENV.rglob("*") if not file.is_dir())
    if free + have < SPACE_NEEDED:
        sys.exit(
            f"Too little disk space: setting up needs about {SPACE_NEEDED / 1e9:.0f} GB in {ROOT} "
            f"(8 GB where torch comes with CUDA), and {free / 1e9:.1f} GB is free. Free some and start again."
        )


def make_venv() -> None:
    """See to a `.venv` whose pip runs. One that cannot be mended in place is made anew."""
    said = ""
    for flags in ([], ["--clear"]):
        if pip_runs():
            return
        if find_spec("venv") is None or find_spec("ensurepip") is None:
            sys.exit(
                "This Python cannot make virtual environments. Type: apt-get install -y python3-venv; then start again."
            )
        made = subprocess.run(
            [sys.executable, "-m", "venv", *flags, VENV],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        said = made.stdout.strip()
    if not pip_runs():
        sys.exit(f"Could not make {VENV}: {said or 'its pip does not run'}. Delete that folder and start again.")


def pip_runs() -> bool:
    if not VENV_PYTHON.exists():
        return False
    asked = [str(VENV_PYTHON), "-m", "pip", "--version"]
    return subprocess.run(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def forget_half_installed() -> None:
    """Make pip install again what it was killed in the middle of: INSTALLER is the last thing but one it writes."""
    for info in VENV.glob("lib/python*/site-packages/*.dist-info"):
        if not (info / "INSTALLER").exists() or not (info / "RECORD").exists():
            shutil.rmtree(info)


def pip_install(files: tuple[str, ...], lock: int) -> None:
    """Run pip, retelling what it does. pip inherits the lock, so that it holds for as long as pip lives."""
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    for file in files:
        command += ["-r", str(ROOT / file)]
    pip = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", pass_fds=[lock]
    )
    assert pip.stdout is not None
    try:
        lines = retell(pip.stdout)
    finally:
        if pip.poll() is None:
            pip.terminate()
        pip.wait()
    if pip.returncode != 0:
        sys.exit(explain(lines))


def retell(output: Iterable[str]) -> list[str]:
    """Say one line a package and one every few silent seconds. Returns all that pip said, for `explain`."""
    lines: list[str] = []
    spoke = threading.Event()
    ended = threading.Event()
    threading.Thread(target=break_silence, args=(spoke, ended), daemon=True).start()
    try:
        for line in output:
            lines.append(line.strip())
            retold = in_short(lines[-1])
            if retold:
                spoke.set()
                say(f"  {retold}")
    finally:
        ended.set()
    return lines


def in_short(line: str) -> str:
    """One line of pip's for a person, or nothing: most of them tell what was there already."""
    if line.startswith(("Collecting ", "Processing ")):
        return re.split(r"[<>!~;]", line.split()[1].rpartition("/")[2])[0]
    if re.match(r"(Downloading|Using cached) .*\d [MG]B\)", line):
        return line
    if line.startswith("Installing collected packages: "):
        return f"installing {line.count(',') + 1} packages"
    if "Retrying (" in line:
        return "the package index does not answer; trying again"
    return ""


def break_silence(spoke: threading.Event, ended: threading.Event) -> None:
    started = time.monotonic()
    free_before = shutil.disk_usage(ROOT).free
    while not ended.wait(SILENCE_SECONDS):
        if not spoke.is_set():
            written = max(0, free_before - shutil.disk_usage(ROOT).free)
            say(f"  ... {time.monotonic() - started:.0f} s, {written / 1e9:.1f} GB written")
        spoke.clear()


def explain(lines: list[str]) -> str:
    """Why pip failed and what to do, in a sentence or two with pip's own most telling line."""
    errors = [line for line in lines if line.startswith("ERROR")]
    full = [line for line in lines if "No space left on device" in line]
    unreachable = [line for line in lines if any(sign in line for sign in NETWORK_TROUBLE)]
    if full:
        return (
            f"The disk is full: setting up needs about {SPACE_NEEDED / 1e9:.0f} GB in {ROOT}, and for a moment as much "
            "in the folder for temporary files (TMPDIR). Free some and start again; it goes on where it stopped.\n"
            f"  pip: {full[-1][:400]}"
        )
    if unreachable:
        return (
            "The requirements could not be downloaded: the package index cannot be reached. Check the network (a proxy "
            "goes into HTTPS_PROXY, another index into PIP_INDEX_URL) and start again; it goes on where it stopped.\n"
            f"  pip: {unreachable[-1][:400]}"
        )
    last = (errors or lines or ["(it said nothing)"])[-1]
    return (
        "The requirements could not be installed. Start again to retry; it goes on where it stopped.\n"
        f"  pip: {last[:400]}"
    )


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)
