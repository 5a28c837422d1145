"""The examples of the documentation's API and speech pages run as printed, against a real studio."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT, Launched

TYPES = ROOT / "tests" / "app" / "http" / "ts"
EXPECTED = {
    "city.png": "7 ",
    "events.iter_lines": "[",
    "OpenAI(": "hello",
    "captions/vtt": "Hello",
    "websockets": "one",
}
"""What a program prints, by words that it has."""


def blocks(page: str, language: str) -> list[str]:
    """The page's examples in this language, those in tabs too."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(code) for _, code in found]


PAGES = ("api.md", "speech.md")
SHELL = [line for page in PAGES for code in blocks(page, "sh") for line in code.splitlines()]
PYTHON = [code for page in PAGES for code in blocks(page, "python")]
TYPESCRIPT = blocks("api.md", "ts")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def here(code: str, studio: Launched) -> str:
    return code.replace("localhost:7860", studio.url.removeprefix("http://"))


@pytest.mark.parametrize("line", SHELL)
def test_a_shell_command_works_as_printed(line: str, studio: Launched) -> None:
    out = run(ROOT, "bash", "-c", here(line, studio))
    if "anmie" in line:
        told = json.loads(out)["error"]
        assert (told["field"], "anime" in told["message"]) == ("preset", True)
    elif "srt" in line:
        assert "00:00:0" in out
    else:
        assert {"image", "events_url"} & set(json.loads(out))


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: next(name for name in EXPECTED if name in code))
def test_a_python_program_works_as_printed(code: str, studio: Launched, tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    out = run(tmp_path, sys.executable, "-c", here(code, studio))
    assert next(told for name, told in EXPECTED.items() if name in code) in out


def test_the_typescript_programs_are_checked_and_run(studio: Launched, tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(TYPES / name, tmp_path)
    run(tmp_path, "npm", "ci", "--no-audit", "--no-fund")
    run(
        tmp_path,
        "npx",
        "openapi-typescript",
        f"{studio.url}/openapi.json",
        "--default-non-nullable=false",
        "-o",
        "studio.ts",
    )
    names = []
    for number, code in enumerate(TYPESCRIPT):
        (tmp_path / f"{number}.ts").write_text(f"{here(code, studio)}\nexport {{}};\n")
        names.append(f"{number}.ts")
    run(
        tmp_path,
        "npx",
        "tsc",
        "--strict",
        "--module",
        "nodenext",
        "--skipLibCheck",
        "--rewriteRelativeImportExtensions",
        *names,
    )
    said = [run(tmp_path, "node", name.replace(".ts", ".js")) for name in names]
    assert "data:image/png;base64," in said[0]
    assert "/events" in said[1]
