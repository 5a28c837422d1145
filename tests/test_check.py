"""The test command: Debian's packages, and that one failure neither hides nor stops the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one file in each place, which passes everything."""
    for folder in ("tests", "app", "bin"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "tests" / "check.py", tmp_path / "tests" / "check.py")
    (tmp_path / "tests" / "system-packages.txt").write_text("# comment\nbrowser\nfonts\n")
    (tmp_path / "tests" / "test_one.py").write_text("def test_one() -> None:\n    pass\n")
    (tmp_path / "app" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 120\n[tool.mypy]\nstrict = true\n")
    return tmp_path


def run(project: Path, code: str, **variables: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", f"import os, sys; sys.path.insert(0, '.'); from tests import check; {code}"],
        cwd=project,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def fake(project: Path, name: str, script: str) -> None:
    program = project / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def with_debian(project: Path, *, apt: str = "exit 0") -> dict[str, str]:
    """A PATH on which `fonts` is installed and `browser` is not."""
    fake(project, "dpkg-query", 'if [ "$4" = fonts ]; then printf installed; else exit 1; fi')
    fake(project, "apt-get", f'echo "$@ [$DEBIAN_FRONTEND]" >> {project}/apt.log\n{apt}')
    return {"PATH": f"{project / 'bin'}:/bin"}


def test_everything_passes_and_pytest_comes_last(project: Path) -> None:
    status, lines = run(project, "sys.exit(check.main(['-q']))")
    assert status == 0, lines
    assert [line for line in lines if line.startswith("== ")] == [
        "== ruff check",
        "== ruff format",
        "== mypy",
        "== pytest",
    ]
    assert lines[-1].startswith("1 passed")


def test_one_failure_fails_the_whole_and_stops_nothing(project: Path) -> None:
    (project / "app" / "bad.py").write_text("import os\nx: int = 'a'\n")
    status, lines = run(project, "sys.exit(check.main(['-q']))")
    assert status == 1
    assert any(line.startswith("1 passed") for line in lines)
    assert lines[-1] == "Failed: ruff check, ruff format, mypy"


def test_a_failing_test_fails_the_whole(project: Path) -> None:
    status, lines = run(project, "sys.exit(check.main(['-q', '-k', 'no_such_test']))")
    assert status == 1
    assert lines[-1] == "Failed: pytest"


@pytest.mark.parametrize(("ci", "expected"), [("", 1), ("true", 0)])
def test_on_ci_what_fails_once_is_tried_once_more_and_told(project: Path, ci: str, expected: int) -> None:
    (project / "tests" / "test_one.py").write_text(
        "from pathlib import Path\n\n\ndef test_one() -> None:\n"
        '    tries = Path("tries.txt")\n    tries.open("a").write("x")\n    assert tries.read_text() == "xx"\n'
    )
    status, lines = run(project, "sys.exit(check.main(['-q']))", CI=ci)
    assert status == expected, lines
    assert ("RERUN tests/test_one.py::test_one" in lines) is (ci == "true")


def test_root_gets_the_missing_packages_installed(project: Path) -> None:
    status, lines = run(
        project, "os.geteuid = lambda: 0; check.have_system_packages(['python3-venv'])", **with_debian(project)
    )
    assert (status, lines) == (0, ["Installing Debian packages for the tests: browser, python3-venv"])
    assert (project / "apt.log").read_text().splitlines() == [
        "update [noninteractive]",
        "install -y --no-install-recommends browser python3-venv [noninteractive]",
    ]


def test_packages_of_a_command_are_wanted_only_where_it_is_missing(project: Path) -> None:
    (project / "tests" / "system-packages.txt").write_text(
        "fonts\nsh: a-shell\nno-such-command: nodejs npm  # for clients\n"
    )
    status, lines = run(project, "os.geteuid = lambda: 0; check.have_system_packages()", **with_debian(project))
    assert (status, lines) == (0, ["Installing Debian packages for the tests: nodejs, npm"])


def test_others_are_told_what_to_type(project: Path) -> None:
    status, lines = run(project, "os.geteuid = lambda: 1000; check.have_system_packages()", **with_debian(project))
    assert (status, lines) == (
        1,
        [
            "The tests need Debian packages that are missing: browser. "
            "Type: sudo apt-get install -y --no-install-recommends browser"
        ],
    )
    assert not (project / "apt.log").exists()


def test_a_failing_install_is_shown(project: Path) -> None:
    debian = with_debian(project, apt="echo E: no space; exit 100")
    status, lines = run(project, "os.geteuid = lambda: 0; check.have_system_packages()", **debian)
    assert status == 1
    assert "E: no space" in lines
    assert lines[-1] == "`apt-get update` failed (above is what it said). The tests need browser."


def test_elsewhere_than_on_debian_the_list_is_told(project: Path) -> None:
    status, lines = run(project, "check.have_system_packages()", PATH=str(project / "bin"))
    assert (status, len(lines)) == (0, 1)
    assert lines[0].endswith("browser, fonts")
