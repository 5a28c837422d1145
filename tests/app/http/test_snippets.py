"""The code that is offered for a picture: run as it is copied, it makes the same file again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from app.http.snippets import snippets
from app.work.image import PicturesResult
from tests.app.conftest import Served, serve
from tests.serving import create_api

TOKEN = "a-token-of-32-characters-for-tests"
PROMPT = 'a red knight\'s "näher" $HOME `id`\nJSON\n\\1 %s {x}'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    for served in serve(tmp_path_factory.mktemp("data"), create_api, api_tokens=f"me={TOKEN}"):
        served.http.headers["Authorization"] = f"Bearer {TOKEN}"
        yield served


def made(
    served: Served, kind: str, request: dict[str, Any], photo: bytes | None = None
) -> tuple[bytes, dict[str, str]]:
    """The second picture's bytes, and the code for it by language."""
    body = {"kind": kind, "request": request}
    if photo is None:
        answer = served.http.post("/jobs", json=body)
    else:
        answer = served.http.post("/jobs/upload", data={"job": json.dumps(body)}, files={"photo": ("me.png", photo)})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    served.http.get(told["events_url"])
    job = served.job(told["job_id"], "me")
    assert isinstance(job.result, PicturesResult)
    found = snippets(kind, job.request, job.result.images[1], f"{served.url}/")
    content = served.http.get(f"/files/{job.files[1].id}").content
    return content, {snippet.language: snippet.code for snippet in found}


def run(language: str, code: str, folder: Path, token: str) -> subprocess.CompletedProcess[str]:
    commands = {
        "curl": ["bash", "-e", "-o", "pipefail", "-c", code],
        "Python": [sys.executable, "-c", code],
        "TypeScript": ["node", "picture.mjs"],
    }
    # Its two types are all that makes it TypeScript; Node reads them from version 22 on.
    (folder / "picture.mjs").write_text(code.replace("url: string, init: RequestInit", "url, init"))
    environment = {**os.environ, "STUDIO_TOKEN": token}
    environment.pop("VAST_AI_URL", None)
    return subprocess.run(
        commands[language], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("language", ["curl", "Python", "TypeScript"])
def test_copied_code_makes_the_same_file(served: Served, tmp_path: Path, language: str) -> None:
    request = {"prompt": PROMPT, "negative_prompt": "hat", "seed": 41, "count": 2, "num_inference_steps": 3}
    picture, code = made(served, "avatar", request)
    done = run(language, code[language], tmp_path, TOKEN)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "picture.png").read_bytes() == picture
    assert TOKEN not in code[language]


@pytest.mark.parametrize("language", ["curl", "Python", "TypeScript"])
def test_a_photo_is_sent_beside_it(served: Served, tmp_path: Path, language: str) -> None:
    out = BytesIO()
    Image.new("RGB", (64, 64), (250, 120, 10)).save(out, "PNG")
    picture, code = made(served, "avatar", {"prompt": "a knight", "seed": 1, "count": 2}, out.getvalue())
    (tmp_path / "photo.png").write_bytes(out.getvalue())
    done = run(language, code[language], tmp_path, TOKEN)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "picture.png").read_bytes() == picture


def test_without_a_token_the_placeholder_is_sent_and_refused(served: Served, tmp_path: Path) -> None:
    _, code = made(served, "hero", {"title": "A yellow town", "seed": 2, "count": 2})
    done = run("Python", code["Python"], tmp_path, "")
    assert "401" in done.stderr
    assert "YOUR_TOKEN" in code["Python"]


def test_json_is_what_the_route_takes(served: Served) -> None:
    _, code = made(served, "hero", {"title": "A town", "aspect": "21:9", "seed": 2, "count": 2, "post_id": ""})
    body = json.loads(code["JSON"])
    assert body == {
        "kind": "hero",
        "request": {"title": "A town", "aspect": "21:9", "preset": served.studio.presets.hero[0].id, "seed": 3},
    }
    assert served.http.post("/jobs", json=body).json()["warnings"] == []
    assert httpx.post(f"{served.url}/jobs", json=body).status_code == 401
