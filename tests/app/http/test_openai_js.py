"""OpenAI's shapes from JavaScript: npm's openai and Vercel's AI SDK, as the social app's server calls them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Served
from tests.app.http.test_jobs import held, photo, sound


@pytest.fixture(scope="module")
def program(npm: Path) -> Path:
    """calls.mjs, with a photo and sound to send."""
    (npm / "me.png").write_bytes(photo())
    (npm / "a.wav").write_bytes(sound())
    return npm / "calls.mjs"


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
