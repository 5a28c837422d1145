"""The types that openapi-typescript makes of /openapi.json: a TypeScript program reads our answers by them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.app.conftest import Served

HERE = Path(__file__).parent / "ts"


def run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_that_reads_our_answers_type_checks(served: Served, tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", "reads.ts"):
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "openapi.json").write_text(served.http.get("/openapi.json").text)
    run(tmp_path, "npm", "ci", "--no-audit", "--no-fund")
    # Without the flag, what has a default would have to be sent.
    run(tmp_path, "npx", "openapi-typescript", "openapi.json", "--default-non-nullable=false", "-o", "studio.ts")
    strict = ("--strict", "--noEmit", "--module", "nodenext", "--skipLibCheck", "--allowImportingTsExtensions")
    run(tmp_path, "npx", "tsc", *strict, "reads.ts")


def test_every_answer_has_a_schema(served: Served) -> None:
    for path, methods in served.http.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            if (
                path.startswith("/files/")
                or path.endswith(("/events", "/captions/{form}", "/jobs/zip"))
                or path == "/metrics"
            ):
                continue
            good = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
            media_type = "image/webp" if path.startswith("/presets/pictures/") else "application/json"
            assert good["content"][media_type]["schema"], f"{method} {path}"
