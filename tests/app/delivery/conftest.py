"""One emulator for all tests of deliveries; each test has posts of its own names."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.app.delivery.emulator import PROJECT, Emulator, Way, client_of

if TYPE_CHECKING:
    from google.cloud.firestore import Client

HERE = Path(__file__).parent / "js"
GUIDE = Path(__file__).parents[3] / "docs" / "firestore.md"


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with emulator.mjs and read.mjs beside their packages, outside the source tree."""
    folder = tmp_path_factory.mktemp("firestore")
    for path in HERE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    snippet = re.search(r"```js\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert snippet is not None
    (folder / "transcript.mjs").write_text(snippet[1])
    command = ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
    return folder


@pytest.fixture(scope="session")
def emulator(programs: Path) -> Iterator[Emulator]:
    emulator = Emulator(programs / "emulator.mjs")
    yield emulator
    emulator.kill()


@pytest.fixture(scope="session")
def firestore(emulator: Emulator) -> Client:
    """What a reader has."""
    return client_of(emulator.address)(PROJECT)


@pytest.fixture
def way(emulator: Emulator) -> Iterator[Way]:
    way = Way(emulator.port)
    yield way
    way.close()
