"""What a newcomer does in the first minutes, through the public doors, on the built-in models."""

from __future__ import annotations

import base64
import json
import signal
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from PIL import Image, ImageStat

from tests.conftest import ROOT, Launched, launched

SPEECH = ROOT / "tests" / "data" / "speech"
EXPECTED: dict[str, str] = json.loads((SPEECH / "sentences.json").read_text())
SENTENCE = EXPECTED["sentence.wav"]


def generate(studio: Launched, **fields: Any) -> dict[str, Any]:
    answer = httpx.post(f"{studio.url}/generate", json={"width": 256, "height": 256, **fields}, timeout=120)
    assert answer.status_code == 200, answer.text
    got: dict[str, Any] = answer.json()
    return got


def picture(answer: dict[str, Any]) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(answer["image_base64"]))).convert("RGB")


def transcribe(studio: Launched, name: str, data: bytes, **fields: str) -> httpx.Response:
    return httpx.post(
        f"{studio.url}/v1/audio/transcriptions",
        files={"file": (name, data)},
        data={"response_format": "verbose_json", "timestamp_granularities[]": "word", **fields},
        timeout=120,
    )


def test_the_start_says_where_and_what(studio: Launched) -> None:
    said = studio.output.read_text()
    for part in ("Page", "http://localhost:", "Images", "Sketch", "Speech", "Demo", "ssh -N -L", "Stop"):
        assert part in said
    assert "Traceback" not in said


def test_an_upload_stays_in_the_data_folder(studio: Launched) -> None:
    client = Client(studio.url, verbose=False)
    text, *_ = client.predict(handle_file(SPEECH / "sentence.wav"), api_name="/transcribe")
    assert text == SENTENCE
    uploads = studio.output.parent / "data" / "gradio"
    assert [path.name for path in uploads.rglob("*.wav")] == ["sentence.wav"]


def corner(image: Image.Image) -> tuple[float, ...]:
    """The mean colour of the top left corner, which is background in an avatar."""
    return tuple(ImageStat.Stat(image.crop((4, 4, 28, 28))).mean)


def test_a_prompts_words_change_the_picture_as_asked(studio: Launched) -> None:
    blue = corner(picture(generate(studio, prompt="a smiling woman, blue background", seed=5)))
    red = corner(picture(generate(studio, prompt="a smiling woman, red background", seed=5)))
    assert blue[2] > blue[0] + 40
    assert red[0] > red[2] + 40


def test_a_hero_scene_at_night_is_dark_and_by_day_is_bright(studio: Launched) -> None:
    def top(time_of_day: str) -> float:
        image = picture(generate(studio, prompt=f"mountains {time_of_day}", seed=3, width=448, height=256))
        return ImageStat.Stat(image.crop((0, 0, 448, 64)).convert("L")).mean[0]

    assert top("at night") + 60 < top("by day")


def test_a_seed_is_a_picture(studio: Launched) -> None:
    first = generate(studio, prompt="a man with a beard", seed=11)
    again = generate(studio, prompt="a man with a beard", seed=11)
    other = generate(studio, prompt="a man with a beard", seed=12)
    assert first["image"] == again["image"]
    assert first["image"] != other["image"]
    assert first["demo"] is True


@pytest.mark.parametrize("ending", ["wav", "mp3", "m4a", "ogg", "webm", "mp4"])
def test_every_container_gives_the_same_words(studio: Launched, ending: str) -> None:
    file = SPEECH / f"sentence.{ending}"
    answer = transcribe(studio, file.name, file.read_bytes())
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert got["text"] == SENTENCE
    assert [word["word"] for word in got["words"]] == SENTENCE.split()
    assert all(0 < word["confidence"] <= 1 and word["start"] < word["end"] for word in got["words"])
    assert got["demo"] is True


@pytest.mark.parametrize("name", ["silence.wav", "noise.wav"])
def test_no_speech_is_empty_text_and_no_error(studio: Launched, name: str) -> None:
    answer = transcribe(studio, name, (SPEECH / name).read_bytes())
    assert answer.status_code == 200
    assert (answer.json()["text"], answer.json()["no_speech"], answer.json()["words"]) == ("", True, [])


WAV = (SPEECH / "sentence.wav").read_bytes()
MP3 = (SPEECH / "sentence.mp3").read_bytes()
BAD_FILES = {
    "zero bytes": b"",
    "text named .wav": b"this is not sound at all, it is a text\n" * 20,
    "a truncated mp3": MP3[:40],
    "a 10-hour header": WAV[:4] + (1_700_000_000).to_bytes(4, "little") + WAV[8:40] + b"\xff\xff\xff\x65" + b"",
    "0 channels": WAV[:22] + b"\0\0" + WAV[24:44],
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "a playlist": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
    "random bytes": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_recording_gets_a_clear_error_and_the_next_one_its_text(studio: Launched, kind: str) -> None:
    answer = transcribe(studio, "bad.wav", BAD_FILES[kind])
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["field"] == "file"
    assert "/" not in error["message"].replace("and/or", "")
    assert "Traceback" not in answer.text
    assert transcribe(studio, "sentence.wav", WAV).json()["text"] == SENTENCE


BAD_REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "a picture 60,000 pixels wide": ({"prompt": "x", "width": 60_000}, "width"),
    "a picture of 60,000 by 60,000": ({"prompt": "x", "width": 60_000, "height": 60_000}, "width"),
    "a size that is no multiple of 8": ({"prompt": "x", "height": 257}, "height"),
    "a size of nothing": ({"prompt": "x", "width": 0}, "width"),
    "steps -1": ({"prompt": "x", "steps": -1}, "steps"),
    "a million steps": ({"prompt": "x", "num_inference_steps": 1_000_000}, "num_inference_steps"),
    "guidance nobody can use": ({"prompt": "x", "guidance_scale": 1e9}, "guidance_scale"),
    "a 10 kB prompt": ({"prompt": "word " * 2000}, "prompt"),
    "null bytes": ({"prompt": "a\x00b"}, "prompt"),
    "an empty prompt": ({"prompt": " "}, "prompt"),
    "a list for a prompt": ({"prompt": ["x"]}, "prompt"),
    "a seed in words": ({"prompt": "x", "seed": "seven"}, "seed"),
    "a seed below -1": ({"prompt": "x", "seed": -2}, "seed"),
}


@pytest.mark.parametrize("kind", BAD_REQUESTS)
def test_a_bad_request_gets_a_clear_error_and_the_next_one_its_picture(studio: Launched, kind: str) -> None:
    body, field = BAD_REQUESTS[kind]
    answer = httpx.post(f"{studio.url}/generate", json={"width": 256, "height": 256, **body}, timeout=60)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["field"] == field
    assert len(error["message"]) < 400
    assert "Traceback" not in answer.text
    assert generate(studio, prompt="x", steps=2)["success"] is True


@pytest.mark.parametrize(
    "prompt", ["🎉 a party 🎉", "(((", "((red hair)1.5", "a, (b and) c-- d++", "日本の山", "%s {subject}"]
)
def test_unusual_prompts_are_prompts(studio: Launched, prompt: str) -> None:
    assert generate(studio, prompt=prompt, steps=2)["prompt"] == prompt


def test_a_stop_lets_work_finish_and_a_restart_knows_it(tmp_path: Path) -> None:
    with launched(tmp_path) as studio:
        answers: list[httpx.Response] = []

        def slow() -> None:
            body = {"prompt": "x", "steps": 60, "width": 256, "height": 256}
            key = {"Idempotency-Key": "slow"}
            answers.append(httpx.post(f"{studio.url}/generate", json=body, headers=key, timeout=120))

        thread = threading.Thread(target=slow)
        thread.start()
        until_running(studio)
        studio.process.send_signal(signal.SIGTERM)
        refused = until_draining(studio)
        assert "retry-after" in refused.headers
        thread.join()
        assert answers[0].status_code == 200, answers[0].text
        assert studio.process.wait(60) == 0
        assert "Stopping" in studio.output.read_text()
    with launched(tmp_path) as studio:
        job = httpx.get(f"{studio.url}/jobs/{answers[0].json()['job_id']}", timeout=30).json()
        assert job["state"] == "succeeded"
        file = httpx.get(f"{studio.url}/files/{job['files'][0]['id']}", timeout=30)
        assert Image.open(BytesIO(file.content)).size == (256, 256)


def until_running(studio: Launched) -> None:
    deadline = time.monotonic() + 60
    while not any(worker["running"] for worker in httpx.get(f"{studio.url}/health", timeout=30).json()["workers"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def until_draining(studio: Launched) -> httpx.Response:
    """The answer to new work after the stop began."""
    deadline = time.monotonic() + 30
    while httpx.get(f"{studio.url}/health", timeout=30).json()["status"] != "draining":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    answer = httpx.post(f"{studio.url}/generate", json={"prompt": "new", "steps": 1}, timeout=30)
    assert answer.status_code == 503, answer.text
    return answer
