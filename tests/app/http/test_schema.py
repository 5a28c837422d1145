"""Every route against what `/openapi.json` promises of it, by Schemathesis, which makes up requests, good and bad."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.conftest import Served, serve
from tests.app.http.test_transcriber import transcriber
from tests.small_engines import EchoSpeech

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"))


def check(url: str, folder: Path) -> None:
    """A fixed seed, so that a failure can be looked into; `st run` without one finds others."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", CHECKS]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "4", "--seed", "7"]
    done = subprocess.run([*command, "--no-color"], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-8000:]
    assert "Tested: " in done.stdout


def test_no_request_makes_the_studio_fail_or_answer_what_is_not_documented(served: Served, tmp_path: Path) -> None:
    check(served.url, tmp_path)


def test_no_request_makes_the_speech_service_fail_or_answer_what_is_not_documented(tmp_path: Path) -> None:
    with transcriber(EchoSpeech()) as (url, _):
        check(url, tmp_path)
