"""OpenAI's shapes from JavaScript: npm's openai and Vercel's AI SDK, as the social app's server calls them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Served
from tests.app.http.test_jobs import held, photo, sound

HERE = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """calls.mjs beside its installed packages, outside the source tree."""
    folder = tmp_path_factory.mktemp("js")
    for name in ("package.json", "package-lock.json", "calls.mjs"):
        shutil.copy(HERE / name, folder)
    (folder / "me.png").write_bytes(photo())
    (folder / "a.wav").write_bytes(sound())
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
    return folder / "calls.mjs"


def call(program: Path, who: str, served: Served) -> Any:
    command = ["node", program.name, who, served.url, "me.png", "a.wav"]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_openais_client(program: Path, served: Served) -> None:
    assert call(program, "openai", served) == {
        "models": ["blob", "echo"],
        "edited": ["PNG", "PNG"],
        "drawn": "image_generation.completed",
        "redrawn": "image_edit.completed",
        "deltas": ["word1 word2", " word3 word4"],
        "text": "word1 word2 word3 word4",
        "refused": [422, "invalid_request"],
    }


def test_openais_client_raises_what_ends_a_stream(program: Path, served: Served) -> None:
    with held(served):
        told = call(program, "cancelled", served)
    assert told == {"raised": True, "type": "cancelled", "code": "cancelled"}


def test_vercels_ai_sdk(program: Path, served: Served) -> None:
    assert call(program, "ai", served) == {"made": [["image/png"] * 3] * 2, "text": "word1 word2 word3 word4"}
