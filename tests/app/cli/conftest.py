"""A box to reach by ssh, and a studio without its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.conftest import Served, serve
from tests.serving import create_api
from tests.sshd import Sshd


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sshd]:
    sshd = Sshd(tmp_path / "box")
    sshd.start()
    yield sshd
    sshd.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), create_api)
