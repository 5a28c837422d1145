"""`launch.py doctor`: a line for each look, what to do, and a status for scripts."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from threading import Event

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.cli import doctor
from app.cli.doctor import Finding, Level, look
from tests.app.conftest import Served, serve
from tests.conftest import ROOT
from tests.serving import create_api, free_port, serving
from tests.sshd import Sshd
from tests.tiny_onnx import tone_model

CAPTURE = pytest.CaptureFixture[str]


def told(tmp_path: Path, capsys: CAPTURE, **variables: str) -> tuple[int, dict[str, dict[str, str]]]:
    env_file = tmp_path / ".env"
    # What the settings read comes from the file, as everything else.
    written = {"STUDIO_DATA_DIR": str(tmp_path), "STUDIO_PORT": str(free_port()), **variables}
    env_file.write_text("".join(f"{name}={value}\n" for name, value in written.items()))
    status = doctor.main(["--json"], env_file, {})
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] == (status == 0)
    return status, {check["name"]: check for check in report["checks"]}


def test_a_machine_without_problems(tmp_path: Path, capsys: CAPTURE) -> None:
    status, checks = told(tmp_path, capsys)
    assert status == 0
    assert {"python", "requirements", "gpu", "port", "models", "disk", "tokens", "firestore", "microphone"} < set(
        checks
    )
    assert "sketch (built in)" in checks["models"]["found"]


def test_a_line_says_how_bad_it_is_and_what_to_do() -> None:
    assert str(Finding("disk", Level.PROBLEM, "full", "free some")) == "problem  disk           full -> free some"


def test_the_studio_on_the_port_is_told(tmp_path: Path, capsys: CAPTURE, served: Served) -> None:
    url = served.url.replace("127.0.0.1", "localhost")
    status, checks = told(tmp_path, capsys, STUDIO_PORT=str(httpx.URL(url).port), VAST_AI_URL=url)
    assert status == 0
    assert checks["port"]["found"] == checks["studio url"]["found"] == "answers: ready"


def test_another_program_on_the_port_is_a_problem(tmp_path: Path, capsys: CAPTURE) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, checks = told(tmp_path, capsys, STUDIO_PORT=str(port))
    assert (status, checks["port"]["level"]) == (1, "problem")
    assert f"STUDIO_PORT={port + 1}" in checks["port"]["remedy"]


def test_what_does_not_answer_is_a_problem_each(tmp_path: Path, capsys: CAPTURE) -> None:
    dead = f"127.0.0.1:{free_port()}"
    status, checks = told(
        tmp_path,
        capsys,
        VAST_AI_URLS=f"http://{dead}",
        TRANSCRIPTION_SERVICE_URL=f"http://{dead}",
        FIREBASE_PROJECT_ID="demo-studio",
        FIRESTORE_EMULATOR_HOST=dead,
        STUDIO_BOXES=f"root@{dead}",
    )
    assert status == 1
    bad = {name for name, check in checks.items() if check["level"] == "problem"}
    assert bad == {"studio url", "cloud run", "firestore", "tunnel 1"}


def test_a_laptops_tunnel_does_not_help_render(tmp_path: Path, capsys: CAPTURE) -> None:
    _, checks = told(tmp_path, capsys, VAST_AI_URL="http://localhost:7860", RENDER="true")
    assert "a laptop's tunnel does not lead from there" in checks["studio url"]["found"]


def test_a_box_whose_host_key_is_unknown(tmp_path: Path, capsys: CAPTURE, box: Sshd) -> None:
    _, checks = told(tmp_path, capsys, STUDIO_BOXES=box.address)
    assert "host key" in checks["tunnel 1"]["found"]


def test_an_open_studio_behind_a_public_name_and_wrong_settings(tmp_path: Path, capsys: CAPTURE) -> None:
    _, checks = told(tmp_path, capsys, STUDIO_ALLOWED_HOSTS="studio.invalid")
    assert checks["tokens"]["level"] == checks["public address"]["level"] == "problem"
    status, checks = told(tmp_path, capsys, STUDIO_MAX_QUEUE="many")
    assert (status, "STUDIO_MAX_QUEUE=many" in checks["settings"]["found"]) == (1, True)


def test_tokens_are_never_shown(tmp_path: Path, capsys: CAPTURE) -> None:
    for guarded in serve(tmp_path / "data", create_api, api_tokens="web=a-token-that-is-long-enough"):
        _, checks = told(tmp_path, capsys, VAST_AI_URL=guarded.url, STUDIO_API_TOKENS="web=a-token-that-is-long-enough")
        assert "a-token" not in json.dumps(checks)
        assert checks["studio url"]["level"] == "ok"


def test_the_speech_service_is_asked_as_the_studio_asks_it(tmp_path: Path, capsys: CAPTURE) -> None:
    token = "a-token-that-is-long-enough"
    for guarded in serve(tmp_path / "data", create_api, api_tokens=f"web={token}"):
        for own, found in (
            (token, "answers: ready"),
            (token[::-1], "refuses STUDIO_TRANSCRIPTION_TOKEN"),
            ("", "wants a token, which STUDIO_TRANSCRIPTION_TOKEN is for"),
        ):
            variables = {"STUDIO_TRANSCRIPTION_TOKEN": own} if own else {}
            _, checks = told(tmp_path, capsys, TRANSCRIPTION_SERVICE_URL=guarded.url, **variables)
            assert checks["cloud run"]["found"] == found
            assert token not in json.dumps(checks)


def test_a_speech_service_that_lets_only_google_accounts_in(tmp_path: Path, capsys: CAPTURE) -> None:
    """403, as Cloud Run's front answers who shows none."""

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        status = 200 if scope.get("path") == "/health/live" else 403
        await Response(status_code=status)(scope, receive, send)

    with serving(front) as url:
        status, checks = told(tmp_path, capsys, TRANSCRIPTION_SERVICE_URL=url)
    assert (status, checks["cloud run"]["level"]) == (1, "problem")
    assert "who may invoke it" in checks["cloud run"]["remedy"]


def test_a_look_that_hangs_or_fails_takes_no_other_along() -> None:
    never = Event()

    def hangs() -> Finding:
        never.wait()
        return Finding("hangs", Level.OK, "")

    def fails() -> Finding:
        raise RuntimeError("secret")

    found = look({"hangs": hangs, "fails": fails, "fine": lambda: Finding("fine", Level.OK, "yes")}, 0.5)
    never.set()
    assert [finding.level for finding in found] == ["problem", "problem", "ok"]
    assert "secret" not in str(found)


def test_it_runs_where_nothing_is_installed() -> None:
    # -S: without any installed package.
    code = "from pathlib import Path; from app.cli import doctor; raise SystemExit(doctor.main([], Path('none'), {}))"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "not installed: torch" in done.stdout
    assert "python3 launch.py installs them" in done.stdout


def test_a_model_in_onnx_wants_its_packages(tmp_path: Path, capsys: CAPTURE, monkeypatch: pytest.MonkeyPatch) -> None:
    _, checks = told(tmp_path, capsys)
    assert (checks["onnx"]["level"], checks["onnx"]["found"][:9]) == ("ok", "onnx-asr ")
    folder = tone_model(tmp_path / "vosk-model-small-xx")
    monkeypatch.setattr(doctor, "_version", lambda _: "")
    _, checks = told(tmp_path, capsys)
    assert (checks["onnx"]["level"], checks["onnx"]["remedy"]) == ("ok", "")
    status, checks = told(tmp_path, capsys, MODEL_PATH=str(folder))
    assert (status, checks["onnx"]["level"]) == (1, "problem")
    assert "vosk-model-small-xx" in checks["onnx"]["found"]
    assert "pip install -r requirements-onnx.txt" in checks["onnx"]["remedy"]
