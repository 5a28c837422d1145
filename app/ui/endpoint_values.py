"""What a client sent, checked: programs send anything, and each wrong value gets a sentence with the field's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.errors import InvalidMedia, InvalidRequest


def text(field: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(field, f"{field} must be text, not {_kind(value)}.")
    return value


def whole(field: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or int(value) != value:
        raise InvalidRequest(field, f"{field} must be a whole number, not {_kind(value)}.")
    return int(value)


def number(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(field, f"{field} must be a number, not {_kind(value)}.")
    return float(value)


def flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(field, f"{field} must be true or false, not {_kind(value)}.")
    return value


def uploaded(field: str, value: Any) -> tuple[Path, str] | None:
    """The file's path and the name that the client gave it; None for no file.

    A file's value is one that `events.py` has found to be the caller's own.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or "path" not in value:
        raise InvalidMedia(field, f"{field} must be an uploaded file: handle_file(path) in gradio_client.")
    return Path(value["path"]), value["orig_name"]


def required(field: str, value: Any) -> tuple[Path, str]:
    file = uploaded(field, value)
    if file is None:
        raise InvalidRequest(field, f"{field} is missing: upload a file, handle_file(path) in gradio_client.")
    return file


def _kind(value: Any) -> str:
    """The value itself where it is short, else what it is."""
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{type(value).__name__} {shown[:36]}…"
