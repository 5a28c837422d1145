"""What one value of the settings may look like. Each function returns the value to use, or raises ValueError.

A `PydanticCustomError` of type `detail` adds something that the field's own "must be ..." does not say.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from app.accounts import Accounts
from app.settings.boxes import parse_box
from app.tokens import Tokens, TokensUnusable
from engines.weights.names import is_hub_id

ROOT = Path(__file__).resolve().parents[2]


def split(value: Any) -> Any:
    """`a, b` -> a and b. A value that is no text comes from code and is a sequence already."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def path(value: Path) -> Path:
    """Relative paths start at the project's folder, so that data does not move with the folder one starts from."""
    return ROOT / value.expanduser()


def folder(value: Path) -> Path:
    found = path(value)
    if not found.is_dir():
        raise PydanticCustomError("detail", "{path} is not a folder", {"path": str(found)})
    return found


def if_folder(value: Path) -> Path | None:
    return value if value.is_dir() else None


def is_hub_name(value: str) -> bool:
    """True for a Hugging Face id (`owner/name`) that nobody can have meant as a path here."""
    return is_hub_id(value) and Path(value).suffix not in (".safetensors", ".ckpt") and not path(Path(value)).exists()


def image_model(value: str) -> str:
    if value in ("auto", "sdxl", "sketch") or is_hub_name(value):
        return value
    found = path(Path(value))
    if not found.exists():
        raise PydanticCustomError("detail", "{path} does not exist", {"path": str(found)})
    return str(found)


def host(value: str) -> str:
    return _matching(r"[A-Za-z0-9.:%_-]+", value)


def host_name(value: str) -> str:
    return _matching(r"(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]", value).lower()


def address_host(value: str) -> str:
    """A name, `*.` and a name, or an origin, which is trusted as it is. No bare IP address: it has no certificate."""
    if "://" in value:
        return origin(value).lower()
    return _matching(r"(\*\.)?([a-z0-9_-]+\.)+[a-z][a-z0-9-]*", value.lower())


def project_id(value: str) -> str:
    """https://cloud.google.com/resource-manager/docs/creating-managing-projects; old ones may begin with a domain."""
    return _matching(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", value)


def tokens(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    try:
        Accounts(entry.get_secret_value() for entry in value)
    except ValueError as unusable:
        raise PydanticCustomError("detail", "{why}", {"why": str(unusable)}) from None
    return value


def has_tokens(data_dir: Path) -> bool:
    """Whether `launch.py token` has ever made one. Raises ValueError if that cannot be read: nothing is known then."""
    try:
        return bool(Tokens(data_dir).all())
    except TokensUnusable as problem:
        raise ValueError(str(problem)) from None


def origin(value: str) -> str:
    parts = urlsplit(url(value))
    if value != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("an origin ends after the port")
    return value


def split_words(value: Any) -> Any:
    """As `split`, at spaces too."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def webhook_secret(value: SecretStr) -> SecretStr:
    """As Standard Webhooks has it. Its text is not part of any error."""
    prefix, _, encoded = value.get_secret_value().partition("whsec_")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if prefix or not 24 <= len(key) <= 64:
        raise PydanticCustomError("detail", "one of them is not")
    return value


def url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("no http or https address")
    return value.rstrip("/")


def box(value: str) -> str:
    return str(parse_box(value))


def _matching(pattern: str, value: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError("unusable")
    return value
