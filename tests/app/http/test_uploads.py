"""Forms with a file, as a route gets them: names, hash, fields, and whose the file is afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from app.http.errors import install_error_handlers
from app.http.transcription_form import open_transcription_form
from app.http.uploads import receive_upload
from tests.serving import serving

CONTENT = bytes(range(256)) * 1500
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/upload")
    async def upload(request: Request, move: bool = False) -> dict[str, Any]:
        names = ("audio", "photo")
        async with receive_upload(request, field=names, required=False, max_bytes=2**20, tmp_dir=folder) as got:
            if move and got.path is not None:
                got.path.rename(folder / "moved")
            told = {"field": got.field, "filename": got.filename, "size": got.size, "sha256": got.sha256}
            return {
                **told,
                "path": got.path and str(got.path),
                "unknown": got.unknown({"kind"}),
                "kind": got.last("kind"),
            }

    @app.post("/form")
    async def form(request: Request) -> dict[str, Any]:
        async with open_transcription_form(request, max_bytes=2**20, tmp_dir=folder, model="vosk-small") as got:
            return {
                "filename": got.filename,
                "size": got.size,
                "sha256": got.sha256,
                "language": got.language,
                "granularities": sorted(got.granularities),
                "unused": got.unused,
            }

    with serving(app) as url:
        yield url


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(folder: Path) -> Iterator[None]:
    yield
    assert list(folder.iterdir()) == []


def sent(url: str, disposition: str, content: bytes = CONTENT) -> httpx.Response:
    """A form whose one part has this Content-Disposition."""
    body = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n--x--\r\n"
    return httpx.post(url, content=body, headers=FORM)


def form(url: str, **fields: str) -> dict[str, Any]:
    """What the transcription form makes of these fields."""
    answer = httpx.post(f"{url}/form", files={"file": ("a.wav", CONTENT)}, data=fields)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "filename"),
    [
        ("filename*=UTF-8''%e2%82%ac.wav", "\u20ac.wav"),
        ("filename*=utf-8'en'a%20b.wav", "a b.wav"),
        ("FileName* = \"UTF-8''voice.ogg\"", "voice.ogg"),
        ("filename*=ISO-8859-1''%e9.wav", "\u00e9.wav"),
        ("filename*=UTF-8''..%2f..%2fetc%2fpasswd", "passwd"),
        ("filename*=UTF-8''%ff.wav", "\ufffd.wav"),
        ("filename*=UTF-8''", ""),
        ("filename=plain.wav; filename*=UTF-8''%e2%82%ac.wav", "plain.wav"),
    ],
)
def test_a_file_may_have_only_an_extended_name(url: str, parameter: str, filename: str) -> None:
    answer = sent(f"{url}/form", f'name="file"; {parameter}')
    assert answer.status_code == 200, answer.text
    assert (answer.json()["filename"], answer.json()["size"]) == (filename, len(CONTENT))


def test_a_file_comes_with_its_size_and_hash(url: str) -> None:
    right = (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    told = httpx.post(f"{url}/upload", files={"photo": ("me.png", CONTENT)}).json()
    assert (told["size"], told["sha256"]) == right
    told = form(url)
    assert (told["size"], told["sha256"]) == right
    empty = httpx.post(f"{url}/upload", files={"photo": ("me.png", b"")}).json()
    assert (empty["size"], empty["sha256"]) == (0, hashlib.sha256(b"").hexdigest())


@pytest.mark.parametrize("field", ["audio", "photo"])
def test_a_route_says_which_names_a_file_may_have(url: str, field: str) -> None:
    told = httpx.post(f"{url}/upload", files={field: ("a", b"x")}, data={"kind": "avatar"}).json()
    assert (told["field"], told["filename"], told["kind"]) == (field, "a", "avatar")
    refused = httpx.post(f"{url}/upload", files={"file": ("a", b"x")})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "file")
    assert "Send the file as the field `audio` or `photo`" in refused.json()["error"]["message"]
    both = httpx.post(f"{url}/upload", files={"audio": ("a", b"x"), "photo": ("b", b"x")})
    assert "more than one file" in both.json()["error"]["message"]


def test_a_form_need_not_have_a_file_where_none_is_required(url: str) -> None:
    told = sent(f"{url}/upload", 'name="kind"', b"hero").json()
    assert (told["path"], told["size"], told["sha256"], told["kind"]) == (None, 0, "", "hero")
    refused = sent(f"{url}/form", 'name="model"', b"x")
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "file")


def test_a_file_may_be_moved_away(url: str, folder: Path) -> None:
    told = httpx.post(f"{url}/upload", params={"move": True}, files={"audio": ("a.wav", CONTENT)}).json()
    moved = folder / "moved"
    assert not Path(told["path"]).exists()
    assert moved.read_bytes() == CONTENT
    moved.unlink()


def test_what_a_route_does_not_know_can_be_told(url: str) -> None:
    fields = {"kind": "avatar", "colour": "red", "empty": "", "x" * 300: "y"}
    told = httpx.post(f"{url}/upload", files={"photo": ("a", b"x")}, data=fields).json()
    assert told["unknown"] == ["colour", "x" * 40]


# Transcription forms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("brackets", ["", "[]", "[0]", "[12]"])
def test_granularities_are_understood_with_any_brackets(url: str, brackets: str) -> None:
    name = f"timestamp_granularities{brackets}"
    told = form(url, response_format="verbose_json", **{name: "word"})
    assert (told["granularities"], told["unused"]) == (["word"], [])
    refused = httpx.post(f"{url}/form", files={"file": ("a", b"x")}, data={name: "letter"})
    assert refused.json()["error"]["field"] == "timestamp_granularities[]"


def test_several_granularities_count_together(url: str) -> None:
    both = {"timestamp_granularities[0]": "word", "timestamp_granularities[1]": "segment"}
    assert form(url, response_format="verbose_json", **both)["granularities"] == ["segment", "word"]


def test_what_is_sent_and_changes_nothing_is_told(url: str) -> None:
    used = {"language": "en", "stream": "false", "response_format": "verbose_json", "timestamp_granularities[]": "word"}
    assert form(url, **used, model="vosk-small")["unused"] == []
    vain = {"model": "whisper-1", "prompt": "names", "temperature": "0", "include[]": "logprobs", "diarize": "1"}
    assert form(url, **used, **vain)["unused"] == list(vain)
    assert form(url, prompt="", model="")["unused"] == []
    # Times are in verbose_json only.
    assert form(url, **{"timestamp_granularities[0]": "word"})["unused"] == ["timestamp_granularities[0]"]
    assert form(url, **{"timestamp_granularities[x]": "word"})["unused"] == ["timestamp_granularities[x]"]
