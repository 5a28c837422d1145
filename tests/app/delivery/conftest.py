"""One emulator for all tests of deliveries; each test has posts of its own names."""

from __future__ import annotations

import hashlib
import os
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

HERE = Path(__file__).parent / "firestore"
GUIDE = Path(__file__).parents[3] / "docs" / "firestore.md"


@pytest.fixture(scope="session")
def programs(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with emulator.mjs and read.mjs beside their packages, which stay installed after the tests."""
    folder = tmp_path_factory.mktemp("firestore")
    for path in (HERE / "emulator.mjs", HERE / "read.mjs"):
        shutil.copy(path, folder)
    snippet = re.search(r"```js\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert snippet is not None
    (folder / "transcript.mjs").write_text(snippet[1])
    (folder / "node_modules").symlink_to(_installed(pytestconfig, tmp_path_factory) / "node_modules")
    return folder


def _installed(config: pytest.Config, folders: pytest.TempPathFactory) -> Path:
    lock = HERE / "package-lock.json"
    assert config.cache is not None
    kept = config.cache.mkdir("firestore") / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not kept.exists():
        new = folders.mktemp("npm")
        for path in (HERE / "package.json", lock):
            shutil.copy(path, new)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"]
        subprocess.run(command, cwd=new, check=True, capture_output=True, timeout=240)
        # Whole or not at all, also when two runs install at once.
        ready = kept.with_suffix(f".{os.getpid()}")
        shutil.move(new, ready)
        try:
            ready.rename(kept)
        except OSError:
            shutil.rmtree(ready)
    return kept


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
