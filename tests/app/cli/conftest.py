"""A box to reach by ssh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sshd import Sshd


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sshd]:
    sshd = Sshd(tmp_path / "box")
    sshd.start()
    yield sshd
    sshd.kill()
