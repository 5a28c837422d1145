"""`launch.py mic` on a microphone that ALSA plays from a file, and on machines without one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.microphone import DIGITS, alsa, speaking

PROGRAM = "import sys; from app.cli import parse; sys.exit(parse.run(parse.parse(sys.argv[1:])))"
"""What launch.py does once the requirements are installed."""


def mic(folder: Path, *flags: str, microphone: bool = True) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "mic", *flags],
        cwd=ROOT,
        env=alsa(folder, microphone=microphone),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_is_said_is_printed_and_saved(tmp_path: Path) -> None:
    saved = tmp_path / "said.srt"
    with mic(tmp_path, "--save", str(saved)) as process, speaking(tmp_path):
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Listening to default" in errors
    assert line == f"00:00  {DIGITS}\n"
    assert "-->" in saved.read_text()
    assert " ".join(saved.read_text().split("\n")[2:4]).strip() == DIGITS


def test_a_machine_without_a_microphone_is_told_what_to_do(tmp_path: Path) -> None:
    with mic(tmp_path, microphone=False) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("No microphone was found on this machine. Connect one")


def test_devices_are_listed(tmp_path: Path) -> None:
    with mic(tmp_path, "--list") as process, speaking(tmp_path):
        listed, _ = process.communicate(timeout=60)
    assert "default" in listed


def test_a_device_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with mic(tmp_path, "--device", "nowhere") as process, speaking(tmp_path):
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Name one of these by its number:" in errors


@pytest.mark.parametrize(
    ("name", "why"), [("said.doc", "must end in .srt"), ("nowhere/said.srt", "there is no folder")]
)
def test_a_file_that_cannot_be_written_is_told_before_anybody_speaks(tmp_path: Path, name: str, why: str) -> None:
    with mic(tmp_path, "--save", str(tmp_path / name)) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert why in errors


def test_a_machine_without_portaudio_is_told_what_to_install(tmp_path: Path) -> None:
    # The package is there and its library is not: what its import raises then.
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "mic"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "STUDIO_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("apt-get install libportaudio2")


def test_only_the_words_asked_for_are_heard(tmp_path: Path) -> None:
    wanted = DIGITS.split()[0]
    with mic(tmp_path, "--vocabulary", wanted) as process, speaking(tmp_path):
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert set(line.split()[1:]) == {wanted}
