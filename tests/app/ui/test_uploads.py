"""Gradio's upload route: what it keeps, under which names, and what it refuses."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.ui.cache import gradio_cache
from tests.app.conftest import Served, serve
from tests.app.ui.caller import Caller, file_data
from tests.app.ui.test_endpoints import write_sound
from tests.disks import small_disk
from tests.serving import until


@pytest.fixture
def caller(served: Served) -> Caller:
    return Caller(served)


def own_files() -> set[Path]:
    # os.walk passes over what is deleted while it looks.
    return {Path(folder, name) for folder, _, names in os.walk(gradio_cache().folder("local")) for name in names}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("notes.wav", "notes.wav"),
        ("../../../etc/cron.d/x", "x"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\ann\\voice.wav", "voice.wav"),
        ("..", "file"),
        (".bashrc", "bashrc"),
        ("", "file"),
        ("Grüße 你好.wav", "Grüße 你好.wav"),
        ("a\x01b.wav", "ab.wav"),
    ],
)
def test_a_file_lies_in_its_callers_folder_under_a_harmless_name(caller: Caller, name: str, kept: str) -> None:
    boundary = "b"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name.replace(chr(92), chr(92) * 2)}"'
        f"\r\n\r\nsound\r\n--{boundary}--\r\n"
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = caller.served.http.post("/gradio_api/upload", content=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    [path] = map(Path, answer.json())
    assert path.name == kept
    assert path.parent.parent == gradio_cache().folder("local")
    assert path.parent.stat().st_mode & 0o077 == 0
    assert caller.get(f"/gradio_api/file={path}").content == b"sound"


def test_a_very_long_name_is_cut_and_keeps_its_ending(caller: Caller) -> None:
    path = Path(caller.upload("x" * 190 + "ü" * 100 + ".wav", b"sound"))
    assert len(path.name.encode()) <= 200
    assert path.read_bytes() == b"sound"


def test_several_files_keep_their_order(caller: Caller) -> None:
    files = [("files", (f"{number}.txt", str(number).encode() * 70_000)) for number in range(5)]
    paths = [Path(path) for path in caller.post("/gradio_api/upload", files=files).json()]
    assert [path.name for path in paths] == [f"{number}.txt" for number in range(5)]
    assert [path.read_bytes() for path in paths] == [str(number).encode() * 70_000 for number in range(5)]


def test_the_same_file_twice_is_two_uploads(caller: Caller) -> None:
    assert caller.upload("a.txt", b"same") != caller.upload("a.txt", b"same")


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"x", "text/plain", "The body's Content-Type is 'text/plain'."),
        (b"--b\r\n", "multipart/form-data; boundary=b", "The multipart body is damaged or ends too early."),
        (b"nothing", "multipart/form-data; boundary=b", "The multipart body is damaged or ends too early."),
        (
            b'--b\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            "The field 'other' must not be a file.",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\nhalf of',
            "multipart/form-data; boundary=b",
            "The multipart body is damaged or ends too early.",
        ),
    ],
)
def test_a_damaged_form_is_refused_and_nothing_is_kept(caller: Caller, content: bytes, kind: str, said: str) -> None:
    before = own_files()
    answer = caller.served.http.post("/gradio_api/upload", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith(said)
    assert own_files() == before


def test_too_many_and_too_large_files_are_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    for served in serve(tmp_path, max_upload_mb=1):
        caller, before = Caller(served), own_files()
        many = caller.post("/gradio_api/upload", files=[("files", (f"{n}.txt", b"x")) for n in range(17)])
        assert many.status_code == 422
        assert "more than 16 files" in many.json()["error"]["message"]
        for size in (2**20 + 1, 2 * 2**20):
            large = caller.post("/gradio_api/upload", files={"files": ("x.wav", b"x" * size)})
            assert large.status_code == 413
            assert "larger than 1 MB, " in large.json()["error"]["message"]
        assert own_files() == before


def test_who_hangs_up_leaves_nothing(caller: Caller) -> None:
    before = own_files()

    def half() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n' + b"x" * 100_000
        until(lambda: own_files() != before)
        raise ConnectionAbortedError

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with httpx.Client() as client, pytest.raises(ConnectionAbortedError):
        client.post(f"{caller.served.url}/gradio_api/upload", content=half(), headers=headers)
    until(lambda: own_files() == before)


def test_a_callers_progress_is_told_to_that_caller(tmp_path: Path) -> None:
    tokens = ["the-token-of-ann-long-enough", "the-token-of-bob-long-enough"]
    for served in serve(tmp_path, api_tokens=tokens):
        ann, bob = (Caller(served, token) for token in tokens)
        told: dict[str, httpx.Response] = {}

        def listen(name: str, caller: Caller, told: dict[str, httpx.Response] = told) -> None:
            told[name] = caller.get("/gradio_api/upload_progress", params={"upload_id": "one"})

        threads = [threading.Thread(target=listen, args=pair) for pair in (("ann", ann), ("bob", bob))]
        for thread in threads:
            thread.start()
        ann.post("/gradio_api/upload", params={"upload_id": "one"}, files={"files": ("secret.wav", b"x" * 100_000)})
        for thread in threads:
            thread.join()
        messages = [json.loads(line.removeprefix("data: ")) for line in told["ann"].text.splitlines() if line]
        assert messages[-1] == {"msg": "done"}
        assert {message["orig_name"] for message in messages[:-1]} <= {"secret.wav"}
        assert "secret" not in told["bob"].text
        assert told["bob"].status_code == 404


def test_on_a_full_disk_an_upload_gets_a_sentence_and_leaves_room(caller: Caller, tmp_path: Path) -> None:
    folder = gradio_cache().folder("local")
    folder.mkdir(exist_ok=True)
    with small_disk(folder, "1m"):
        full = caller.post("/gradio_api/upload", files={"files": ("x.wav", b"x" * (3 * 2**20))})
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) > 0
        assert full.json()["error"]["type"] == "storage_failed"
        assert full.json()["error"]["message"] == (
            "The upload could not be written to this server's disk; it may be full."
        )
        large = {"files": ("x.wav", b"x" * (3 * 2**20))}
        on_the_page = caller.post("/gradio_api/upload", params={"upload_id": "x"}, files=large)
        assert on_the_page.status_code == 503
        assert on_the_page.text == full.json()["error"]["message"]
        assert own_files() == set()
        heard = caller.upload("sound.wav", write_sound(tmp_path).read_bytes())
        assert caller.call("transcribe", file_data(heard))[0] == "complete"
