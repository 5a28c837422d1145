"""Run by test_endpoints in a process of its own, as a user's program would be: calls endpoints, prints one JSON line.

Usage: client_calls.py URL FOLDER SOUND
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError


def refused(client: Client, endpoint: str, **values: Any) -> str:
    """The sentence that a wrong call is answered with."""
    try:
        client.predict(api_name=endpoint, **values)
    except AppError as error:
        return str(error)
    return ""


def bad_calls(client: Client, folder: Path) -> dict[str, str]:
    text = folder / "notes.wav"
    text.write_text("this is neither sound nor picture")
    stolen = {"path": "/etc/passwd", "meta": {"_type": "other"}}
    return {
        "an unknown preset": refused(client, "/avatar", prompt="x", preset="nope"),
        "count 9": refused(client, "/avatar", prompt="x", count=9),
        "count in words": refused(client, "/avatar", prompt="x", count="two"),
        "seed abc": refused(client, "/avatar", prompt="x", seed="abc"),
        "seed true": refused(client, "/avatar", prompt="x", seed=True),
        "an empty prompt": refused(client, "/avatar", prompt=""),
        "a list for a prompt": refused(client, "/avatar", prompt=["x"]),
        "null bytes": refused(client, "/avatar", prompt="a\x00b"),
        "a 10 kB prompt": refused(client, "/avatar", prompt="word " * 2000),
        "a text as photo": refused(client, "/avatar", prompt="x", photo=handle_file(text)),
        "a file of the server as photo": refused(client, "/avatar", prompt="x", photo=stolen),
        "a strength in words": refused(client, "/avatar", prompt="x", photo=handle_file(text), photo_strength="low"),
        "a strength in words and no photo": refused(client, "/avatar", prompt="x", photo_strength="low"),
        "a title that is a number": refused(client, "/hero", title=7),
        "a language that is a number": refused(client, "/transcribe", audio=handle_file(text), language=7),
        "an unknown aspect": refused(client, "/hero", prompt="x", aspect="5:17"),
        "a hero of nothing": refused(client, "/hero"),
        "a text as audio": refused(client, "/transcribe", audio=handle_file(text)),
        "a file of the server as audio": refused(client, "/transcribe", audio=stolen),
        "no audio": refused(client, "/transcribe", audio=None),
        "an unknown language": refused(client, "/transcribe", audio=handle_file(text), language="xx"),
        "an unknown job": refused(client, "/job", job_id="nope"),
        "a number for a job": refused(client, "/cancel", job_id=7),
    }


def good_calls(client: Client, sound: Path) -> dict[str, Any]:
    pictures, avatar = client.predict("A blue knight", seed=7, count=2, api_name="/avatar")
    wide, hero = client.predict(title="A red bicycle", aspect="16:9", seed=3, api_name="/hero")
    text, words, captions, job_id = client.predict(handle_file(sound), api_name="/transcribe")
    _, spoken = client.predict(job_id, api_name="/job")
    files, again = client.predict(avatar["job_id"], include_images=True, api_name="/job")
    return {
        "avatar": {"files": pictures, "details": avatar},
        "hero": {"files": wide, "details": hero},
        "transcribe": {"text": text, "words": words, "captions": captions, "job_id": job_id, "details": spoken},
        "job": {"files": files, "details": again},
        "presets": client.predict(api_name="/presets"),
    }


def cancelled(client: Client) -> dict[str, Any]:
    """Cancel a job by the id in its first details. The test's server holds it until then."""
    job = client.submit("A knight", api_name="/avatar")
    job_id = next(iter(job))[1]["job_id"]
    asked = client.predict(job_id, api_name="/cancel")
    try:
        job.result(timeout=120)
        said = "no error"
    except AppError as error:
        said = str(error)
    return {"asked": asked, "said": said, "after": client.predict(job_id, api_name="/job")[1]}


def main(what: str, url: str, folder: str, sound: str) -> None:
    client = Client(url, verbose=False, download_files=folder)
    calls: dict[str, Callable[[], Any]] = {
        "good": lambda: good_calls(client, Path(sound)),
        "bad": lambda: bad_calls(client, Path(folder)),
        "cancel": lambda: cancelled(client),
        "view": lambda: client.view_api(return_format="dict", print_info=False),
    }
    sys.stdout.write(json.dumps(calls[what]()) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
