"""The rented machines that a tunnel goes to, as STUDIO_BOXES or the command line names them.

`launch.py tunnel` reads this on a laptop where nothing is installed: the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Neither may start with a dash: ssh would take it for a flag.
_WRITTEN = re.compile(
    r"(?:ssh://)?(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:]+\])(?::(?P<port>\d{1,5}))?/?"
)


@dataclass(frozen=True, slots=True)
class Box:
    """A machine that ssh reaches. Empty `user` and None as `port`: what the user's own ssh configuration says."""

    host: str
    user: str = ""
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}".removeprefix("@") + (f":{self.port}" if self.port else "")


def parse_box(text: str) -> Box:
    """`root@HOST:PORT`, with or without user and port, also as ssh://...; raises ValueError."""
    found = _WRITTEN.fullmatch(text.strip())
    port = int(found["port"]) if found and found["port"] else None
    if found is None or port == 0 or (port or 0) > 65535:
        raise ValueError(f"{text!r} is no box: write root@HOST:PORT, as the provider shows host and port of its ssh.")
    return Box(found["host"].strip("[]"), found["user"] or "", port)


def read_variables(names: frozenset[str], environment: Mapping[str, str], env_file: Path) -> dict[str, str]:
    """The variables of these names, from the environment or else `.env`, where they are set and not empty.

    It knows of .env what one line can hold: NAME=value, quotes around it, `export` before it, a comment behind it.
    """
    found = {}
    lines = env_file.read_text(encoding="utf-8", errors="replace").splitlines() if env_file.is_file() else []
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() in names:
            found[name.strip()] = _unquoted(value.strip())
    found.update({name: environment[name] for name in names if environment.get(name)})
    return {name: value for name, value in found.items() if value}


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return re.split(r"\s+#", value)[0]
