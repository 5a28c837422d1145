"""The name under which a browser saves a file."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote


def disposition(kind: Literal["inline", "attachment"], name: str) -> str:
    """A Content-Disposition header (RFC 6266). Names that are not plain ASCII come in both forms of RFC 5987."""
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in name)
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
