"""Which Carrot Studio this is."""

from __future__ import annotations

import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def version() -> str:
    return str(tomllib.loads(PROJECT.read_text())["project"]["version"])
