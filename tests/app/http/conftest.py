"""The npm packages of JavaScript's clients, installed once for all tests that speak through them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

JS = Path(__file__).parent / "js"


@pytest.fixture(scope="package")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs of js/ beside their packages, outside the source tree."""
    folder = tmp_path_factory.mktemp("js")
    for file in JS.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
    return folder
