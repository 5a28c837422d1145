"""The named endpoints, called by gradio_client in a process of its own."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import wave
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.app.conftest import Served
from tests.app.ui.steps import corner, middle
from tests.small_engines import disc_colour

ROOT = Path(__file__).parents[3]
SNAPSHOT = Path(__file__).with_name("api_snapshot.json")
BLUE, RED = (0, 0, 255), (255, 0, 0)


def write_sound(folder: Path) -> Path:
    """One second that is not silence."""
    sound = folder / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x10\x10" * 8000)
    return sound


def call(what: str, served: Served, folder: Path) -> Any:
    """What `client_calls` printed."""
    sound = write_sound(folder)
    command = [sys.executable, "-m", "tests.app.ui.client_calls", what, served.url, str(folder), str(sound)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def good(served: Served, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    answers: dict[str, Any] = call("good", served, tmp_path_factory.mktemp("client"))
    return answers


def test_avatar_gives_files_and_details(good: dict[str, Any]) -> None:
    details = good["avatar"]["details"]
    assert details["state"] == "succeeded"
    assert details["seeds"] == [7, 8]
    assert details["images"] == []
    assert details["demo"] is True
    assert details["recipe"]["prompt"].startswith("A blue knight, ")
    pictures = [Image.open(path) for path in good["avatar"]["files"]]
    assert [middle(picture) for picture in pictures] == [disc_colour(7), disc_colour(8)]
    assert all(corner(picture) == BLUE and picture.format == "PNG" for picture in pictures)


def test_hero_takes_a_title_and_an_aspect(good: dict[str, Any]) -> None:
    [path] = good["hero"]["files"]
    with Image.open(path) as picture:
        assert corner(picture) == RED
        assert picture.width > picture.height
    assert "a scene about A red bicycle" in good["hero"]["details"]["recipe"]["prompt"]


def test_transcribe_gives_text_words_captions_and_the_jobs_id(good: dict[str, Any]) -> None:
    spoken = good["transcribe"]
    assert spoken["text"] == "word1 word2"
    assert [word["word"] for word in spoken["words"]] == ["word1", "word2"]
    assert spoken["words"][1]["start"] == 0.5
    assert [Path(path).suffix for path in spoken["captions"]] == [".srt", ".vtt", ".txt", ".tsv", ".json"]
    assert "-->" in Path(spoken["captions"][0]).read_text()
    assert spoken["job_id"] == spoken["details"]["job_id"]
    assert spoken["details"]["no_speech"] is False


def test_a_job_is_read_again_with_its_pictures_as_data_uris(good: dict[str, Any]) -> None:
    again = good["job"]["details"]
    assert again["job_id"] == good["avatar"]["details"]["job_id"]
    assert len(good["job"]["files"]) == 2
    head, _, data = again["images"][1].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as picture:
        assert middle(picture) == disc_colour(8)


def test_presets_lists_the_looks(good: dict[str, Any], served: Served) -> None:
    looks = good["presets"]
    assert [look["id"] for look in looks["avatar"]] == [preset.id for preset in served.studio.presets.avatar]
    assert looks["aspects"]["1:1"] == [1024, 1024]
    assert all(look["description"] for look in looks["hero"])


def test_a_running_job_is_cancelled_by_its_id(served: Served, tmp_path: Path) -> None:
    served.image.gate.clear()
    try:
        answer = call("cancel", served, tmp_path)
    finally:
        served.image.gate.set()
    assert answer["said"] == "Cancelled."
    assert answer["after"]["state"] == "cancelled"
    assert answer["after"]["recipe"] is None


SENTENCES = {
    "an unknown preset": "No avatar preset 'nope'. Available: studio-portrait, ",
    "count 9": "count is 9: send a whole number from 1 to 8.",
    "count in words": "count is 'two': send a whole number from 1 to 8.",
    "seed abc": "seed is 'abc': send a whole number from -1 to 4294967295.",
    "seed true": "seed is True: send a whole number from -1 to 4294967295.",
    "an empty prompt": "prompt is empty: say in a few words what the picture should show.",
    "a list for a prompt": "prompt is ['x']: send text of at most 4000 characters.",
    "null bytes": "prompt has a null character at position 1: remove it.",
    "a 10 kB prompt": "prompt has 10000 characters: shorten it to 4000 or fewer.",
    "a text as photo": "photo (33 bytes) is not a PNG, JPEG or WebP picture",
    "a file of the server as photo": "photo must be an uploaded file",
    "a strength in words": "photo_strength is 'low': send a number above 0 and up to 1.",
    "a strength in words and no photo": "photo_strength is 'low': send a number above 0 and up to 1.",
    "a title that is a number": "title is 7: send text of at most 4000 characters.",
    "a language that is a number": "language is 7: send text of at most 64 characters.",
    "an unknown aspect": "aspect is '5:17'.",
    "a hero of nothing": "Give a prompt, or the title or summary of a post",
    "a text as audio": "This file cannot be read as sound.",
    "a file of the server as audio": "audio must be an uploaded file",
    "no audio": "audio is missing: upload a file",
    "an unknown language": "This model has no language 'xx'.",
    "an unknown job": "There is no job 'nope'.",
    "a number for a job": "job_id is 7: send text.",
}


def test_every_bad_call_gets_a_plain_sentence(served: Served, tmp_path: Path) -> None:
    answers = call("bad", served, tmp_path)
    assert answers.keys() == SENTENCES.keys()
    for kind, beginning in SENTENCES.items():
        assert answers[kind].startswith(beginning), (kind, answers[kind])


def test_names_order_types_and_defaults_are_as_promised(served: Served, tmp_path: Path) -> None:
    """To change a promise on purpose: delete api_snapshot.json, run this test, and look at the difference."""
    view = call("view", served, tmp_path)
    assert view["unnamed_endpoints"] == {}
    seen = {
        name: {
            "parameters": [
                [p["parameter_name"], p["python_type"]["type"], p["parameter_has_default"], p["parameter_default"]]
                for p in endpoint["parameters"]
            ],
            "returns": [[r["label"], r["python_type"]["type"]] for r in endpoint["returns"]],
        }
        for name, endpoint in view["named_endpoints"].items()
    }
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(json.dumps(seen, indent=1) + "\n")
    assert seen == json.loads(SNAPSHOT.read_text())
