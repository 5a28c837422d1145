"""Microphones that come and go while a program runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.microphone import alsa, speaking

PLUGGED_IN_LATER = """
import pathlib, sys
from app.microphone import Microphones

there = Microphones()
print([microphone.name for microphone in there.all()])
config, plugged_in = map(pathlib.Path, sys.argv[1:])
config.write_text(plugged_in.read_text())
print([microphone.name for microphone in there.all()])
with there.recording(there.find(None), lambda *_: None):
    # Another look ends nobody's recording.
    print([microphone.name for microphone in there.all()], there.find("default").sample_rate)
"""


def test_one_that_is_plugged_in_is_there_at_the_next_look(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    plugged_in = alsa(tmp_path / "room")["ALSA_CONFIG_PATH"]
    environment = alsa(tmp_path, microphone=False)
    command = [sys.executable, "-c", PLUGGED_IN_LATER, environment["ALSA_CONFIG_PATH"], plugged_in]
    with speaking(tmp_path / "room"):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
    assert done.stdout.splitlines() == ["[]", "['default']", "['default'] 44100"]
