"""Every program in the README runs as printed, against a real studio on the built-in models."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Launched
from tests.examples.nextjs import typed

README = (ROOT / "README.md").read_text()
ELSEWHERE = {
    "python3 launch.py": "tests/test_first_minute.py",
    "python3 launch.py test": "this very run",
    ".venv/bin/python -m mkdocs build --strict": "tests/docs/test_site.py",
    "python3 launch.py transcriber": "tests/app/cli/test_transcriber.py",
    "python3 launch.py tunnel root@HOST:PORT": "tests/app/cli/test_tunnel.py",
    "python3 launch.py doctor": "tests/app/cli/test_doctor.py",
    "python3 launch.py models pull small-en": "tests/app/cli/test_models.py",
    **dict.fromkeys(typed(), "tests/examples/test_nextjs.py"),
}
"""Commands whose tests need more than a shell, and where those are."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def shell_lines() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line]


def here(text: str, studio: Launched) -> str:
    return text.replace("http://localhost:7860", studio.url)


def run(command: list[str], folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("line", [line for line in shell_lines() if line not in ELSEWHERE])
def test_a_shell_command_works_as_printed(line: str, studio: Launched) -> None:
    out = run(["bash", "-c", here(line, studio)])
    if "/generate" in line:
        assert json.loads(out)["image"].startswith("data:image/png;base64,")
    elif "/jobs" in line:
        assert json.loads(out)["events_url"].startswith(studio.url)
    elif "deploy.sh" in line:
        assert "+ gcloud run services replace " in out
    elif "srt" in line:
        assert "00:00:0" in out
        assert "hello" in out
    else:
        assert "vosk-demo-en" in out


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_a_python_program_works_as_printed(number: int, studio: Launched) -> None:
    out = run([sys.executable, "-c", here(blocks("python")[number], studio)])
    assert "hello" in out


CALL_THE_ROUTE = """
import { POST } from "./route.mjs";

const body = JSON.stringify({ prompt: "a bearded man with glasses" });
const answer = await POST(new Request("http://app.example/api/avatar", { method: "POST", body }));
console.log(JSON.stringify(await answer.json()));
// The client keeps a connection open, which a server does not mind.
process.exit(0);
"""


def test_the_nextjs_route_works_as_printed(studio: Launched, tmp_path: Path) -> None:
    run(["npm", "install", "--silent", "--no-audit", "--no-fund", "@gradio/client@2.7.0"], tmp_path)
    (route,) = blocks("js")
    (tmp_path / "route.mjs").write_text(here(route, studio))
    (tmp_path / "call.mjs").write_text(CALL_THE_ROUTE)
    answer = json.loads(run(["node", "call.mjs"], tmp_path))
    assert re.fullmatch(r"[0-9a-f]{20}", answer["jobId"])
    assert len(answer["seeds"]) == len(answer["pictures"]) == 1


def test_every_file_that_the_readme_names_is_there() -> None:
    missing = [link for link in re.findall(r"\]\(([^)#:]+)\)", README) if not (ROOT / link).exists()]
    assert missing == []
    assert [place for place in ELSEWHERE.values() if place.startswith("tests/") and not (ROOT / place).exists()] == []


def test_the_tree_is_the_tree_on_disk() -> None:
    """Every name in it is there, and no folder or file of app, or folder of engines, is missing from it."""
    [tree] = re.findall(r"^```\n(launch\.py .*?)^```", README, re.DOTALL | re.MULTILINE)
    told, path = set(), [ROOT]
    for line in tree.splitlines():
        names = line.split("  ")[0] if not line.startswith(" ") else line.strip().split("  ")[0]
        depth = (len(line) - len(line.lstrip())) // 2
        for name in names.split():
            here = path[depth] / name
            assert here.exists(), line
            told.add(here)
            if name.endswith("/"):
                path[depth + 1 :] = [here]
    folders = [ROOT, ROOT / "app", ROOT / "app/http", ROOT / "engines"]
    shown = {child for folder in folders for child in folder.iterdir() if child.is_dir() and child.name[0] not in "._"}
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    tracked = {ROOT / file for file in kept}
    shown = {folder for folder in shown if any(folder in file.parents for file in tracked)}
    shown |= {file for file in tracked if file.parent in (ROOT / "app/jobs",) and file.name != "__init__.py"}
    assert shown - told == set()


def test_the_tests_that_the_security_page_names_are_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`((?:app|engines)/[\w/]*test_\w+\.py|test_\w+\.py)`", page)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []
    code = re.findall(r"`(app/[\w/]+\.py|engines/[\w/]+\.py)`", page)
    assert [name for name in code if "test_" not in name and not (ROOT / name).exists()] == []
