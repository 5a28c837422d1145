"""The named endpoints from JavaScript: @gradio/client under Node, as the social app's server calls them."""

from __future__ import annotations

import json
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.jobs.model import JobState
from tests.app.conftest import Served
from tests.app.ui.steps import corner, middle
from tests.app.ui.test_endpoints import write_sound
from tests.small_engines import disc_colour

HERE = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """calls.mjs beside its installed packages, outside the source tree."""
    folder = tmp_path_factory.mktemp("js")
    for name in ("package.json", "package-lock.json", "calls.mjs"):
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
    return folder / "calls.mjs"


def call(program: Path, *words: str) -> Any:
    command = ["node", str(program), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_pictures_text_and_a_refusal(program: Path, served: Served, tmp_path: Path) -> None:
    answer = call(program, "good", served.url, str(write_sound(tmp_path)))
    files, details = answer["avatar"]
    assert details["seeds"] == [7, 8]
    picture = Image.open(BytesIO(served.http.get(files[1]["url"]).content))
    assert (corner(picture), middle(picture)) == ((0, 0, 255), disc_colour(8))
    text, words, captions, job_id = answer["spoken"]
    assert text == "word1 word2"
    assert [word["word"] for word in words] == text.split()
    assert served.http.get(captions[1]["url"]).text.startswith("WEBVTT")
    assert served.job(job_id).state is JobState.SUCCEEDED
    assert answer["refused"] == "count is 9: send a whole number from 1 to 8."


def test_a_running_job_is_cancelled_by_its_id(program: Path, served: Served) -> None:
    served.image.gate.clear()
    try:
        answer = call(program, "cancel", served.url)
    finally:
        served.image.gate.set()
    assert answer == {"said": "Cancelled.", "state": "cancelled"}
